"""A held MASTER asks the other server's real daemon before it takes production back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.engine.one_master.still_served import refuse_if_outrun, word_of_peer
from hotsync.errors import Refused
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.hold import load_hold
from hotsync.state.store import save_peer, save_role
from tests.contract.agent.pair import PORT, SLAVE_ADDRESS, Pair, until

pytestmark = pytest.mark.contract


def test_a_promoted_server_says_so_and_one_that_is_off_or_a_slave_is_in_nobodys_way(paired: Pair) -> None:
    master = paired.master
    assert word_of_peer(master.paths, master.clock) == ()
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, 0, claim=1))
    with pytest.raises(Refused, match="it is the MASTER"):
        word_of_peer(master.paths, master.clock)
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, 1, released=1))
    assert word_of_peer(master.paths, master.clock) == ()
    paired.slave.stop()
    master.set("hotsync", SlaveHost="192.0.2.77")
    peer = master.here.peer
    assert peer is not None
    save_peer(master.paths, replace(peer, address="192.0.2.77"))
    assert word_of_peer(master.paths, master.clock) == ()


def test_one_that_is_on_and_cannot_be_understood_is_not_taken_for_one_that_is_off(paired: Pair) -> None:
    master, slave = paired.master, paired.slave
    slave.set("hotsync", status="disabled")
    until(lambda: word_of_peer(master.paths, master.clock) != (), "its daemon hears that it is disabled")
    (said,) = word_of_peer(master.paths, master.clock)
    assert said == f"{SLAVE_ADDRESS} refuses connections to port {PORT}, so it is on"
    slave.stop()
    slave.set("hotsync", status="enabled")
    slave.reinstall()
    slave.start()
    (said,) = word_of_peer(master.paths, master.clock)
    assert "another certificate" in said


def test_a_promoted_server_with_a_wrong_clock_is_on(paired: Pair) -> None:
    master, slave = paired.master, paired.slave
    save_role(slave.paths, RoleRecord(Role.SLAVE, 0))
    slave.clock.shift += 4000
    (said,) = word_of_peer(master.paths, master.clock)
    assert "clocks of the two servers differ" in said


def test_a_promotion_that_goes_on_is_refused_by_a_master_that_was_made_one_again_since_and_by_no_other(
    paired: Pair,
) -> None:
    master, slave = paired.master, paired.slave
    save_role(slave.paths, RoleRecord(Role.SLAVE, 3, claim=4))
    refuse_if_outrun(slave.paths, slave.clock, 4)  # nobody is there
    for epoch in (5, 4):
        save_role(master.paths, RoleRecord(Role.MASTER, epoch))
        if master.daemon is None:
            master.start()
        with pytest.raises(Refused, match=f"made the MASTER again since .* epoch {epoch}"):
            refuse_if_outrun(slave.paths, slave.clock, 4)
        assert load_hold(master.paths) is None
    save_role(master.paths, RoleRecord(Role.MASTER, 3))
    refuse_if_outrun(slave.paths, slave.clock, 4)
    hold = load_hold(master.paths)
    assert hold is not None
    assert hold.epoch == 4, "it hears of the claim by the question"
