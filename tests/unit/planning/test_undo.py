"""The law of an undo: cut wherever and however often, over boots, the same command ends it, each thing in its order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.engine.execute import execute
from hotsync.model.entry import Kind
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Plan, Step, StepRecord
from hotsync.model.promotion import ExchangeUnit, How, NetworkChoice, NetworkPlan, Promotion
from hotsync.model.undo import Place, Undo, UndoFacts, Written, served_since
from hotsync.planning.undo import plan_undo
from hotsync.steps.undo import NotePlaces
from tests.fakes.clock import TickingClock
from tests.fakes.host import FakeHost, World
from tests.support.sizes import examples

UNITS = (ExchangeUnit("home", How.EXCHANGE, Kind.DIRECTORY, 7, 1), ExchangeUnit("srv/x", How.ASIDE, Kind.FILE, 8, 1))
PLACES = (
    Place("home", 7, 70, "aside", "tree", tree=True),
    Place("srv/new", 9, 0, "aside", "moved"),
    Place("etc", 1, 2, "aside", "moved"),
)


class Killed(Exception):
    """The process died."""


@dataclass
class Fake:
    """A host that notes what is done; `boot` changes with each boot."""

    role: RoleRecord
    promotion: Promotion
    undo: Undo | None = None
    boot: int = 1
    running: bool = True
    databases: bool = True
    addresses: bool = True
    dumped: bool = False
    back: set[str] = field(default_factory=set[str])
    kept: bool = False
    opened: bool = False

    @property
    def document(self) -> Undo:
        assert self.undo is not None
        return self.undo

    def begin(self) -> None:
        self.undo = Undo(self.promotion.epoch, 1, 5.0, self.role.role is Role.MASTER, served_since(self.promotion))

    def stop_production(self) -> None:
        assert self.undo is not None, "what a boot must not start is written down first"
        self.running = False

    def give_up_addresses(self) -> None:
        assert not self.running
        self.addresses = False

    def dump_databases(self) -> None:
        self.databases = True  # one that a boot did not start is started for it
        assert not self.running
        assert not self.addresses or not self.promotion.network.choice.takes_addresses
        self.dumped = True

    def stop_databases(self) -> None:
        assert self.dumped or not served_since(self.promotion)
        self.databases = False

    def note_places(self) -> None:
        assert not self.running
        assert not self.databases
        if not self.document.noted:
            self.undo = replace(self.document, noted=True, places=PLACES)

    def put_back(self, path: str) -> None:
        assert not self.running
        self.back.add(path)

    def set_folders(self) -> None:
        assert self.back == {place.path for place in PLACES}

    def own_network(self) -> None:
        assert "etc" in self.back
        self.addresses = False

    def reload(self) -> None:
        assert "etc" in self.back

    def keep(self) -> None:
        assert not self.opened, "what is kept is told from what the replica knew"
        self.kept = True

    def reopen(self) -> None:
        assert self.kept
        self.opened = True

    def become_slave(self) -> None:
        assert self.opened
        assert not self.running
        epoch = self.promotion.epoch
        self.role = RoleRecord(Role.SLAVE, epoch, released=epoch)

    def finish(self) -> None:
        assert self.role.role is Role.SLAVE
        self.undo = replace(self.document, finished_at=9.0)

    # what the engine does

    def facts(self) -> UndoFacts:
        served = bool(served_since(self.promotion))
        undo = self.undo or Undo(self.promotion.epoch, 1, 5.0, was_master=True)
        begun = self.undo is not None
        return UndoFacts(self.role, self.promotion, undo, begun, str(self.boot), tree_live=True, dumps=served)

    def record(self, record: StepRecord) -> None:
        if self.undo is not None:
            self.undo = replace(self.undo, records=(*self.undo.records, record))


def part(plan: Plan, facts: UndoFacts) -> Plan:
    if facts.undo.noted or not any(isinstance(step, NotePlaces) for step in plan):
        return plan
    return (*takewhile(lambda step: not isinstance(step, NotePlaces), plan), NotePlaces())


def go_on(fake: Fake, steps: int | None = None, *, recorded: bool = True) -> None:
    """Run the command; it is killed after so many steps, with the last one recorded or not."""
    count = 0

    def record(record: StepRecord) -> None:
        nonlocal count
        count += 1
        if count != steps or recorded:
            fake.record(record)
        if count == steps:
            raise Killed

    while plan := plan_undo(fake.facts()):
        host = replace(FakeHost(World(role=fake.role)).host(), undo=fake)
        execute(part(plan, fake.facts()), host, TickingClock(), record)


def promotion(served: bool, choice: NetworkChoice) -> Promotion:
    records = (StepRecord("services.start:1", "start", "services", 3.0, 4.0, "done"),) if served else ()  # type: ignore[arg-type]
    return Promotion(4, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(choice), UNITS, records=records, etc_inode=1)


cuts = st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), max_size=10)


@settings(max_examples=examples(150), deadline=None)
@given(
    role=st.sampled_from([RoleRecord(Role.MASTER, 4), RoleRecord(Role.SLAVE, 3, claim=4)]),
    served=st.booleans(),
    choice=st.sampled_from([NetworkChoice.MASTERS, NetworkChoice.KEEP]),
    cuts=cuts,
)
def test_killed_anywhere_and_booted_in_between_it_ends_as_a_slave_that_released_the_epoch(
    role: RoleRecord, served: bool, choice: NetworkChoice, cuts: list[tuple[int, bool, bool]]
) -> None:
    fake = Fake(role, promotion(served, choice))
    for steps, recorded, boots in cuts:
        try:
            go_on(fake, steps, recorded=recorded)
        except Killed:
            if boots:
                fake.boot += 1
                fake.databases = False
                # the mute and the flag keep production down, /etc says which addresses come up
                fake.addresses = "etc" not in fake.back
    go_on(fake)
    assert (fake.role.role, fake.role.epoch, fake.role.claim, fake.role.released) == (Role.SLAVE, 4, None, 4)
    assert fake.kept
    assert fake.opened
    assert not fake.running
    assert not fake.databases
    assert fake.dumped is served
    assert plan_undo(fake.facts()) == ()


def titles(plan: Plan) -> list[str]:
    return [step.title for step in plan]


def test_the_plan_names_what_is_given_up_before_anything_is_known_of_the_disk() -> None:
    plan = plan_undo(Fake(RoleRecord(Role.MASTER, 4), promotion(True, NetworkChoice.KEEP)).facts())
    said = titles(plan)
    assert said[0] == "write down that the promotion to epoch 4 is undone"
    assert "put this server's own /home back" in said
    assert "put this server's own /etc back" in said
    assert "become SLAVE again, and release epoch 4" in said
    assert not [title for title in said if "give the addresses" in title]
    assert len({step.key for step in plan}) == len(plan)


def test_production_that_never_started_has_nothing_to_be_dumped() -> None:
    fake = Fake(RoleRecord(Role.SLAVE, 3, claim=4), promotion(False, NetworkChoice.MASTERS))
    steps: tuple[Step, ...] = plan_undo(fake.facts())
    assert "undo.dump" not in {step.key for step in steps}
    assert Undo(4, 1, 5.0, was_master=False).written == Written()
