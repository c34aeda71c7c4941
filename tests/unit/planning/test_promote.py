"""The law of a promotion: whatever the facts, cut wherever and however often, the same command ends it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.engine.execute import execute
from hotsync.errors import ReplicaError, StepFailed
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Outcome, Phase, Step, StepRecord
from hotsync.model.ports import Host
from hotsync.model.promotion import DatabaseDump, NetworkChoice, Rebuild
from hotsync.planning.promote import plan_promote
from tests.fakes.clock import TickingClock
from tests.fakes.host import FakeHost, World
from tests.support.sizes import examples

MARIADB = DatabaseDump("mariadb", "default", "mariadb.service", "a" * 64)
POSTGRESQL = DatabaseDump("postgresql", "15-main", "postgresql@15-main.service", "b" * 64)
REDIS = DatabaseDump("redis", "redis-server", "redis-server.service", "c" * 64, at_rest=True)

worlds = st.builds(
    World,
    units=st.lists(st.sampled_from(["home", "root", "srv/data", "var/lib/samba"]), unique=True).map(tuple),
    folders=st.sampled_from([(), ("srv",)]),
    dumps=st.lists(st.sampled_from([MARIADB, POSTGRESQL, REDIS]), unique=True).map(tuple),
    master_units=st.lists(
        st.sampled_from(["dovecot.service", "postfix.service", "redis-server.service"]), unique=True
    ).map(tuple),
    both_units=st.sampled_from([(), ("ssh.service",)]),
    checks=st.lists(st.sampled_from(["imap", "smtp", "smb"]), unique=True).map(tuple),
    packages=st.frozensets(st.sampled_from(["dovecot-imapd", "samba"])),
    unobtainable=st.frozensets(st.sampled_from(["dovecot-imapd", "samba"])),
    failing_units=st.frozensets(st.sampled_from(["dovecot.service", "redis-server.service"])),
    attributes=st.integers(0, 2),
    labels=st.booleans(),
    quotas=st.integers(0, 1),
    accounts_differ=st.booleans(),
    choice=st.sampled_from([NetworkChoice.MASTERS, NetworkChoice.KEEP]),
    master_hears=st.booleans(),
    role=st.builds(RoleRecord, st.just(Role.SLAVE), st.integers(0, 9)),
)
# after how many steps it ends, how (killed with that step recorded or not, a step that fails before or after it did
# its work, a disk that takes no record), and whether the machine boots afterwards, and finds its addresses taken
ways = st.sampled_from(["recorded", "unrecorded", "fails before", "fails after", "no record"])
boots = st.sampled_from(["", "boots", "boots, taken"])
cuts = st.lists(st.tuples(st.integers(0, 12), ways, boots), max_size=12)


class Killed(Exception):
    """The process died."""


@dataclass(frozen=True)
class Injected:
    """A step that fails although it may have done its work."""

    step: Step
    done: bool

    def __getattr__(self, name: str) -> object:
        return getattr(self.step, name)

    def apply(self, host: Host) -> None:
        if self.done:
            self.step.apply(host)
        raise ReplicaError(reason="it was injected")


def run(world: World, steps: int | None = None, way: str = "recorded") -> None:
    """Plan, and execute as the unit does; it ends at step `steps` in that way, or with the last one."""
    plan = plan_promote(world.facts())
    if steps == 0:
        return
    if steps is not None and way.startswith("fails") and steps <= len(plan):
        broken = cast("Step", Injected(plan[steps - 1], way == "fails after"))
        plan = (*plan[: steps - 1], broken, *plan[steps:])
    applied = [0]

    def record(line: StepRecord) -> None:
        applied[0] += 1
        last = applied[0] == steps
        if last and way == "unrecorded":
            raise Killed
        if last and way == "no record":
            raise OSError(errno.ENOSPC, "No space left on device")
        if not (last and way.startswith("fails")) or line.outcome is Outcome.FAILED:
            world.keep(line)
        if last and way == "recorded":
            raise Killed

    failed: StepFailed | None = None
    try:
        execute(plan, FakeHost(world).host(), TickingClock(), record)
    except Killed:
        pass
    except StepFailed as error:
        failed = error
    assert failed is None or failed.facts["done"] == (steps or 0) - 1


@given(world=worlds, cuts=cuts)
@settings(max_examples=examples(150), deadline=None)
def test_a_promotion_cut_anywhere_any_number_of_times_ends_as_master_with_exactly_one_claim(
    world: World, cuts: list[tuple[int, str, str]]
) -> None:
    epoch = world.role.epoch
    for steps, way, boot in cuts:
        run(world, steps, way)
        if boot:
            world.power_cut(taken=boot == "boots, taken")
    run(world)
    assert plan_promote(world.facts()) == ()
    assert world.claims == 1
    assert world.document is not None
    assert world.document.fences[-1].reached is world.master_hears
    assert world.role == RoleRecord(Role.MASTER, epoch + 1)
    assert sorted(world.exchanged) == sorted(world.units)
    assert world.etc == "exchanged"
    assert {dump.digest for dump in world.dumps} == set(world.loads)
    assert world.production
    assert world.settings
    assert ("labels" in world.history) is world.labels
    assert ("quotas" in world.history) is bool(world.quotas)
    assert not world.muted
    assert not world.held
    assert not world.network_held


@given(world=worlds)
@settings(max_examples=examples(60), deadline=None)
def test_the_claim_is_the_first_step_and_the_role_comes_after_everything_that_could_fail(world: World) -> None:
    plan = plan_promote(world.facts())
    assert plan[0].phase is Phase.CLAIM
    keys = [step.key.partition(":")[0] for step in plan]
    assert keys[-4:] == ["role.master", "role.settle", "services.unmute", "role.finish"]
    anew = [*(["files.labels"] if world.labels else []), *(["files.rebuild"] * len(world.rebuilds))]
    assert keys[keys.index("files.exchange-etc") + 1 :][: len(anew) + 2] == [
        *anew,
        "services.reload",
        "services.settings",
    ]
    phases = list(Phase)
    assert [phases.index(step.phase) for step in plan] == sorted(phases.index(step.phase) for step in plan)
    assert len({step.key for step in plan}) == len(plan)


def test_a_fence_that_failed_is_tried_again_by_the_run_that_goes_on_and_one_that_reached_is_not() -> None:
    world = World()
    for hears in (False, False, True, True):
        world.master_hears = hears
        run(world, 3)
    assert world.document is not None
    assert [result.reached for result in world.document.fences] == [False, False, True]


def test_after_a_boot_without_the_addresses_it_fences_takes_them_and_has_the_network_set_up_once_more() -> None:
    world = World()
    plan = plan_promote(world.facts())
    upto = next(number for number, step in enumerate(plan, 1) if step.key == "network.activate")
    run(world, upto)
    world.power_cut(taken=True)
    keys = [step.key for step in plan_promote(world.facts())]
    assert keys[:3] == ["fence", "network.take", "network.activate"]
    run(world)
    assert world.addresses == {"10.77.0.1/24", "10.77.0.2/24"}
    assert world.document is not None
    assert [result.reached for result in world.document.fences] == [False, True]


def test_a_generation_that_arrives_between_plan_and_claim_does_not_change_a_claimed_promotion() -> None:
    world = World()
    run(world, 1)
    world.generation = 99
    assert world.facts().promotion.generation == 7
    run(world)
    assert world.document is not None
    assert world.document.generation == 7


def test_databases_are_not_loaded_a_second_time_once_the_journal_has_them() -> None:
    world = World(dumps=(MARIADB,))
    plan = plan_promote(world.facts())
    upto = next(number for number, step in enumerate(plan, 1) if step.key.startswith("databases.load"))
    run(world, upto)
    world.power_cut()
    run(world)
    assert world.loads == [MARIADB.digest]


def test_what_is_put_in_place_at_rest_needs_no_server_and_holds_nobody_off() -> None:
    world = World(dumps=(REDIS,), master_units=(REDIS.unit,))
    keys = [step.key for step in plan_promote(world.facts())]
    assert not [key for key in keys if key.startswith(("databases.start", "network.hold", "network.admit"))]
    load = next(number for number, key in enumerate(keys) if key.startswith("databases.load:redis/redis-server"))
    assert keys.index("files.exchange-etc") < load < next(n for n, key in enumerate(keys) if "services.start" in key)
    run(world)
    assert world.loads == [REDIS.digest]


def test_what_profiles_ask_for_is_made_anew_once_and_before_units_start() -> None:
    world = World(
        rebuilds=(Rebuild("postfix.1", "newaliases"), Rebuild("site.1", "postmap", ("/etc/postfix/virtual",)))
    )
    keys = [step.key for step in plan_promote(world.facts())]
    places = [keys.index(f"files.rebuild:{name}") for name in ("postfix.1", "site.1")]
    assert keys.index("files.exchange-etc") < places[0] < places[1] < keys.index("services.start")
    run(world, places[1] + 1)
    run(world)
    assert world.history.count("newaliases") == world.history.count("postmap /etc/postfix/virtual") == 1


def test_units_start_in_the_order_of_their_profile() -> None:
    world = World(master_units=("nmbd.service", "smbd.service", "web.service"))
    facts = replace(world.facts(), start_orders=(("smbd.service", "gone.service", "nmbd.service"), ("web.service",)))
    waves = [step.title for step in plan_promote(facts) if step.key.startswith("services.start")]
    assert [title.partition(": ")[2] for title in waves] == ["smbd.service, web.service", "nmbd.service"]


def test_with_the_network_kept_no_address_is_taken_but_the_name_that_etc_hosts_knows() -> None:
    """Squid, ProFTPD and collectd did not start under the SLAVE's name, which the MASTER's /etc/hosts does not know."""
    world = World(choice=NetworkChoice.KEEP)
    run(world)
    assert world.addresses == {"10.77.0.2/24"}
    assert world.host_name == "master"


def test_what_follows_from_the_role_is_made_up_for_when_the_machine_dies_right_after_it() -> None:
    world = World()
    plan = plan_promote(world.facts())
    upto = next(number for number, step in enumerate(plan, 1) if step.key.startswith("role.master"))
    run(world, upto)
    world.power_cut()
    keys = [step.key for step in plan_promote(world.facts())]
    assert keys == ["role.settle", "services.unmute", "services.start", "role.finish"]
    run(world)
    assert world.production
    assert "dovecot.service" in world.running
