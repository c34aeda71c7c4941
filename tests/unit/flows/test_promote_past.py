"""An older generation is made the newest right before the claim; refused or cut, nobody takes it for the MASTER's."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hotsync.errors import NotReady, Refused, StepFailed, UsageError, WrongRole
from hotsync.flows.history import number_of
from hotsync.flows.promote_past import cut_before, gone_back, look_back
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import Back, NetworkPlan, Promotion
from hotsync.replica.store import Replica
from hotsync.state.loss import load_loss
from hotsync.state.promotion import save_promotion
from hotsync.state.store import save_role
from hotsync.system.paths import Paths
from tests.support.replica_world import Died, Mortal, TestClock, World


class Host:
    """A SLAVE with three generations of one file: "one", "two", "three"."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "slave")
        for folder in (self.paths.state, self.paths.run):
            folder.mkdir(parents=True)
        self.world = World(root / "pair", random.Random(1), disk=self.paths.state)
        self.clock: TestClock = self.world.clock
        for text in ("one", "two", "three"):
            self.world.clock.time += 600
            self.world.write("srv/text", text)
            self.world.generation()
        save_role(self.paths, RoleRecord(Role.SLAVE, 2))
        self.said: list[str] = []

    @property
    def text(self) -> str:
        return (self.paths.replica / "tree/srv/text").read_text()

    def back(self, at: str) -> Back:
        past = look_back(self.paths, self.clock, at)
        assert past is not None
        return past.back

    def go(self, back: Back, then: Callable[[], None] = lambda: None) -> int:
        with gone_back(self.paths, self.clock, back, self.said.append) as (number, notes):
            assert notes == ()
            then()
            return number

    def cut(self) -> Back | None:
        return cut_before(self.paths, self.world.replica().generations()[-1])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_looking_changes_nothing_and_says_what_would_be_undone(host: Host) -> None:
    past = look_back(host.paths, host.clock, "1")
    assert past is not None
    assert (past.wanted.number, past.newest.number, past.becomes, past.changes, past.lost) == (1, 3, 4, 1, 0)
    assert (past.undone.files, past.undone.known_until) == (1, past.newest.collected_at)
    assert (host.text, host.cut()) == ("three", None)
    assert look_back(host.paths, host.clock, "3") is None
    with pytest.raises(UsageError):
        look_back(host.paths, host.clock, "9")


def test_it_is_the_newest_while_it_is_promoted_and_what_that_undid_is_kept(host: Host) -> None:
    back = host.back("1")
    assert host.go(back, lambda: None) == 4
    assert host.text == "one"
    assert host.said == ["Generation 1 becomes the newest here, as generation 4"]
    undone = load_loss(host.paths.loss_undone)
    assert undone is not None
    assert (undone.generation, undone.digest, undone.files) == (1, back.digest, 1)
    assert host.cut() == back


@pytest.mark.parametrize("failure", [NotReady(reason="no room"), StepFailed(step="claim", reason="no", done=0)])
def test_what_is_refused_before_the_claim_leaves_the_newest_the_newest(host: Host, failure: Exception) -> None:
    def fail() -> None:
        raise failure

    with pytest.raises(type(failure)):
        host.go(host.back("1"), fail)
    assert (host.text, host.cut()) == ("three", None)
    assert host.said[-1] == "Nothing was promoted: generation 3 is the newest again, as generation 5"
    assert look_back(host.paths, host.clock, "5") is None


def test_what_fails_after_the_claim_stays_as_it_is_and_is_gone_on_with(host: Host) -> None:
    back = host.back("1")
    claimed = Promotion(3, 4, "d", 1.0, 1.0, 1.0, NetworkPlan(), (), back=back)

    def fail() -> None:
        save_promotion(host.paths, claimed)
        save_role(host.paths, RoleRecord(Role.SLAVE, 2, claim=3))
        raise StepFailed(step="x", reason="y", done=1)

    with pytest.raises(StepFailed):
        host.go(back, fail)
    assert host.text == "one"
    assert host.cut() is None  # a promotion goes on with it: nothing is to be asked
    with pytest.raises(Refused, match="has begun already"):
        look_back(host.paths, host.clock, "2")


def test_cut_before_the_claim_the_next_call_is_told_and_both_ways_lead_on(host: Host) -> None:
    back = host.back("1")
    host.go(back)  # and the process dies: no claim
    again = look_back(host.paths, host.clock, "4")
    assert again is not None
    assert (again.wanted.number, again.newest.number, again.becomes, again.changes) == (4, 3, 4, 0)
    assert again.undone.files == 1
    assert host.go(again.back) == 4  # made already
    assert host.go(host.back("1")) == 4
    other = host.back("2")
    assert (other.wanted, other.newest) == (2, 3)
    assert host.go(other) == 5
    assert host.text == "two"
    assert host.cut() == other
    newest = host.back("3")
    assert (newest.wanted, newest.newest) == (3, 3)
    assert host.go(newest) == 6
    assert (host.text, host.cut()) == ("three", None)


def _same(replica: Replica, *_: object) -> Replica:
    return replica


def test_dying_at_any_moment_of_it_never_leaves_old_data_for_the_newest(tmp_path: Path) -> None:
    ticks, done = 0, False
    while not done:
        host = Host(tmp_path / str(ticks))
        back = host.back("1")
        mortal = host.world.replica(Mortal(ticks))
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("hotsync.flows.promote_past.open_replica", partial(_same, mortal))
                host.go(back)
            done = True
        except Died:
            pass
        host.world.replica().recover()
        assert (host.text == "three") == (host.cut() is None), ticks
        assert host.go(host.back("1")) == 4
        assert host.text == "one"
        ticks += 19
    assert ticks > 19


def test_a_generation_of_the_master_that_came_meanwhile_stops_it_and_ends_the_question(host: Host) -> None:
    back = host.back("1")
    host.world.clock.time += 600
    host.world.write("srv/text", "four")
    host.world.generation()
    with pytest.raises(NotReady, match="generation 4 has arrived"):
        host.go(back)
    assert (host.text, host.said) == ("four", [])


def test_on_a_master_nothing_is_looked_at(host: Host) -> None:
    save_role(host.paths, RoleRecord(Role.MASTER, 2))
    with pytest.raises(WrongRole):
        look_back(host.paths, host.clock, "1")


def test_a_time_means_the_newest_data_of_that_time_whatever_was_made_since(host: Host) -> None:
    host.go(host.back("1"))
    assert number_of(host.world.replica().generations(), "2100-01-01") == 3
