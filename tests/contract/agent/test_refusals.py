"""Every error of the wire that has a name: tried between two real agents, looked at on both sides."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import (
    ClockSkew,
    HotSyncError,
    NoSpace,
    NotPaired,
    NotTrusted,
    OtherProtocol,
    PeerBusy,
    PeerRefused,
    PeerSilent,
    PeerUnreachable,
    ReplicaError,
    StaleEpoch,
    TransferError,
    WrongPeer,
)
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.store import forget_peer, load_role, save_role
from hotsync.system import command
from hotsync.transport.dial import dial, hail, hang_up, opening
from hotsync.transport.messages import Welcome
from hotsync.transport.presence import load_presence
from tests.contract.agent.pair import MASTER_ADDRESS, PORT, SLAVE_ADDRESS, STRANGER_ADDRESS, Pair, Proxy, until

pytestmark = pytest.mark.contract


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one file to send, and beside it the list and the changeset that name it."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_bytes(os.urandom(1000))
    (tmp_path / "list").write_bytes(b"file\0")
    (tmp_path / "planned").write_bytes(b"")
    return folder


def test_a_slave_that_was_installed_anew_is_another_server(paired: Pair) -> None:
    old = paired.slave.around.identity.fingerprint
    paired.slave.stop()
    paired.slave.reinstall()
    paired.slave.start()
    with pytest.raises(WrongPeer) as wrong:
        paired.link()
    assert wrong.value.facts["pinned"] == old
    assert wrong.value.facts["seen"] == paired.slave.around.identity.fingerprint
    assert paired.slave.refused_with("peer.untrusted")


def test_a_master_that_was_installed_anew_is_another_server(paired: Pair) -> None:
    paired.master.reinstall()
    with pytest.raises(NotTrusted) as refused:
        paired.link()
    assert refused.value.facts["ours"] == paired.master.around.identity.fingerprint
    assert paired.slave.refused_with("peer.certificate")


def test_a_slave_that_forgot_its_master_says_so(paired: Pair) -> None:
    forget_peer(paired.slave.paths)
    with pytest.raises(NotPaired) as unpaired:
        paired.link()
    assert SLAVE_ADDRESS in unpaired.value.sentence
    assert paired.slave.refused_with("peer.unpaired")


def test_without_the_certificate_the_right_address_is_worth_nothing(paired: Pair) -> None:
    callee = paired.callee(paired.slave.around.identity.fingerprint)
    channel = dial(callee, paired.master.clock, 5, show_certificate=False)
    channel.send(opening(callee.ours, "control", paired.master.clock), "it was tried")
    with pytest.raises(NotPaired):
        channel.answer(Welcome, "it was tried")
    hang_up(channel)


def test_another_protocol_is_named_with_both_numbers(paired: Pair) -> None:
    callee = paired.callee(paired.slave.around.identity.fingerprint)
    channel = dial(callee, paired.master.clock, 5)
    newer = opening(callee.ours, "control", paired.master.clock).model_copy(update={"protocol": 7})
    channel.send(newer, "it was tried")
    with pytest.raises(OtherProtocol) as other:
        channel.answer(Welcome, "it was tried")
    hang_up(channel)
    assert (other.value.facts["ours"], other.value.facts["theirs"]) == (7, 1)
    assert paired.slave.refused_with("peer.protocol")


@pytest.mark.parametrize("hours", [2, -2])
def test_a_wrong_clock_is_called_a_wrong_clock_on_both_sides(paired: Pair, hours: int) -> None:
    paired.master.clock.shift = hours * 3600
    with pytest.raises(ClockSkew) as skew:
        paired.link()
    assert abs(int(str(skew.value.facts["seconds"])) - 7200) < 5
    assert paired.slave.refused_with("peer.clock")


def test_pairing_with_a_wrong_clock_names_the_clock_and_not_the_password(hosts: Pair) -> None:
    hosts.master.clock.shift = 7200
    with pytest.raises(ClockSkew):
        hosts.pair()
    assert hosts.slave.here.peer is None


def test_a_superseded_master_hears_both_epochs(paired: Pair) -> None:
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=5))
    with pytest.raises(StaleEpoch) as stale:
        paired.link()
    assert (stale.value.facts["ours"], stale.value.facts["theirs"]) == (0, 5)
    assert paired.slave.refused_with("refused.epoch")


def test_a_claim_counts_as_the_higher_epoch(paired: Pair) -> None:
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    with pytest.raises(StaleEpoch):
        paired.link()


def test_a_claim_made_while_the_connection_is_open_stops_the_commit(paired: Pair, tmp_path: Path, source: Path) -> None:
    with paired.link(heartbeat=False) as link:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 0, 0)
        save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
        with pytest.raises(HotSyncError):
            link.commit(1, EMPTY_DIGEST, tmp_path / "planned", 0.0, [])
    assert paired.slave.store.now.generation == 0


def test_a_slave_takes_over_the_higher_epoch_of_its_master(paired: Pair) -> None:
    save_role(paired.master.paths, RoleRecord(Role.MASTER, epoch=4))
    with paired.link() as link:
        assert link.welcome.epoch == 4
    assert load_role(paired.slave.paths).epoch == 4


def test_a_master_cannot_drive_the_epoch_out_of_reach(paired: Pair) -> None:
    save_role(paired.master.paths, RoleRecord(Role.MASTER, epoch=2**50))
    with pytest.raises(HotSyncError) as refused:
        paired.link()
    assert refused.value.code == "peer.malformed"
    assert load_role(paired.slave.paths).epoch == 0


def test_two_servers_of_one_role_refuse_each_other(paired: Pair) -> None:
    paired.slave.stop()
    paired.slave.set("hotsync", role="master", SlaveHost=MASTER_ADDRESS)
    save_role(paired.slave.paths, RoleRecord(Role.MASTER))
    paired.slave.start()
    with pytest.raises(PeerRefused, match="both servers are MASTER"):
        paired.link()


def test_a_slave_that_is_not_set_up_is_not_there(paired: Pair) -> None:
    save_role(paired.slave.paths, RoleRecord(Role.NONE))
    until(lambda: paired.slave.daemon is not None and paired.slave.daemon.port == 0, "the SLAVE stops listening")
    with pytest.raises(PeerUnreachable) as gone:
        paired.link()
    assert "configured" in gone.value.hint


def test_disabling_the_slave_closes_its_port_and_enabling_opens_it(paired: Pair) -> None:
    daemon = paired.slave.daemon
    assert daemon is not None
    paired.slave.set("hotsync", status="disabled")
    until(lambda: daemon.port == 0, "the SLAVE stops listening")
    with pytest.raises(PeerUnreachable):
        paired.link()
    paired.slave.set("hotsync", status="enabled")
    until(lambda: daemon.port == PORT, "the SLAVE listens again")
    paired.link().close()


def test_a_slave_without_its_receiver_says_what_to_start(paired: Pair, tmp_path: Path, source: Path) -> None:
    paired.slave.paths.receive_socket.unlink()
    with paired.link() as link:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 1000, 1)
        with pytest.raises(PeerRefused) as refused:
            link.send(1, source, tmp_path / "list", lambda _: None)
    assert "hotsync-receive.socket" in refused.value.hint
    assert paired.slave.refused_with("peer.refused")


def test_no_space_before_sending_is_told_with_figures(paired: Pair, tmp_path: Path, source: Path) -> None:
    paired.slave.store.fail["begin"] = NoSpace(needed=2000, free=1000)
    with paired.link() as link, pytest.raises(NoSpace) as full:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 2000, 1)
    assert (full.value.facts["needed"], full.value.facts["free"]) == (2000, 1000)
    assert paired.slave.refused_with("replica.space")


def test_a_disk_that_fills_up_while_files_come_in_is_no_space(paired: Pair, tmp_path: Path, source: Path) -> None:
    (source / "file").write_bytes(os.urandom(3_000_000))
    staging = paired.slave.store.staging(1)
    staging.mkdir(mode=0o700)
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(staging)])
    try:
        with paired.link() as link:
            link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 3_000_000, 1)
            with pytest.raises(NoSpace) as full:
                link.send(1, source, tmp_path / "list", lambda _: None)
        assert full.value.facts["needed"] == 3_000_000
    finally:
        paired.slave.stop()
        command.run(["umount", str(staging)])


def test_a_disk_that_is_full_for_the_changeset_itself_is_no_space(paired: Pair, tmp_path: Path) -> None:
    planned = tmp_path / "planned"
    planned.write_bytes(b"x" * 2_000_000)
    incoming = paired.slave.paths.state / "incoming"
    incoming.mkdir(mode=0o700)
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(incoming)])
    try:
        with paired.link() as link, pytest.raises(NoSpace):
            link.begin(1, EMPTY_DIGEST, planned, 1, 1)
    finally:
        paired.slave.stop()
        command.run(["umount", str(incoming)])


def test_trouble_in_the_commit_reaches_the_master_as_what_it_is(paired: Pair, tmp_path: Path) -> None:
    with paired.link() as link:
        link.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 0, 0)
        with pytest.raises(ReplicaError, match="the digest does not fit"):
            link.commit(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 0.0, [])
    assert paired.slave.refused_with("replica")


def tmp_path_file(tmp_path: Path) -> Path:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    return path


def test_a_generation_that_is_being_committed_keeps_the_next_run_waiting(paired: Pair, tmp_path: Path) -> None:
    store = paired.slave.store
    store.hold["commit"], store.reached["commit"] = threading.Event(), threading.Event()
    empty = tmp_path_file(tmp_path)
    with paired.link() as first, paired.link() as second:
        first.begin(1, EMPTY_DIGEST, empty, 0, 0)
        ended: list[HotSyncError] = []

        def commit() -> None:
            try:
                first.commit(1, EMPTY_DIGEST, empty, 0.0, [])
            except HotSyncError as error:
                ended.append(error)

        thread = threading.Thread(target=commit)
        thread.start()
        assert store.reached["commit"].wait(20)
        with pytest.raises(PeerBusy):
            second.begin(1, EMPTY_DIGEST, empty, 0, 0)
        store.hold["commit"].set()
        thread.join()
    assert [error.code for error in ended] == ["replica"]


def test_a_long_commit_is_not_taken_for_silence(paired: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.agent.session.WORKING_SECONDS", 0.1)
    store = paired.slave.store
    store.hold["begin"] = threading.Event()
    threading.Timer(1.5, store.hold["begin"].set).start()
    with paired.link(stall=1) as link:
        assert link.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 0, 0).generation == 1


def test_a_run_whose_line_died_does_not_block_the_next(paired: Pair, tmp_path: Path, source: Path) -> None:
    first = paired.link(heartbeat=False)
    first.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 0, 0)
    with paired.link() as second:
        second.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 1000, 1)
        assert second.send(1, source, tmp_path / "list", lambda _: None).files == 1
        with pytest.raises(HotSyncError):
            first.confirm(0)
    first.close()


def test_a_line_that_freezes_in_a_transfer_is_called_silent_on_both_sides(
    paired: Pair, tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source / "file").write_bytes(os.urandom(20_000_000))
    with Proxy(SLAVE_ADDRESS, PORT) as proxy, paired.link(port=proxy.port, stall=3, heartbeat=False) as link:
        link.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 20_000_000, 1)
        proxy.freeze_after = proxy.sent + 2_000_000
        with caplog.at_level(logging.WARNING), pytest.raises(PeerSilent) as silent:
            link.send(1, source, tmp_path / "list", lambda _: None)
        assert silent.value.facts["phase"] == "files were sent"
        assert paired.slave.refused_with("peer.silent")


def test_a_line_that_freezes_on_the_control_connection_is_called_silent(paired: Pair) -> None:
    with Proxy(SLAVE_ADDRESS, PORT) as proxy, paired.link(port=proxy.port, stall=1, heartbeat=False) as link:
        proxy.frozen.set()
        with pytest.raises(PeerSilent):
            link.alive()


def test_a_cable_that_is_pulled_in_a_transfer_leaves_a_slave_that_serves_the_next_run(
    paired: Pair, tmp_path: Path, source: Path
) -> None:
    (source / "file").write_bytes(os.urandom(20_000_000))
    with Proxy(SLAVE_ADDRESS, PORT) as proxy, paired.link(port=proxy.port, heartbeat=False) as link:
        link.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 20_000_000, 1)
        proxy.cut_at = proxy.sent + 2_000_000
        with pytest.raises(HotSyncError) as gone:
            link.send(1, source, tmp_path / "list", lambda _: None)
        assert gone.value.code == "peer.gone"
    with paired.link() as link:
        assert link.begin(1, EMPTY_DIGEST, tmp_path_file(tmp_path), 20_000_000, 1).present == 1, "what came is kept"
        link.send(1, source, tmp_path / "list", lambda _: None)
    assert (paired.slave.store.staging(1) / "file").read_bytes() == (source / "file").read_bytes()


def test_a_stranger_is_turned_away_before_tls_and_named_in_the_log(
    paired: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), socket.socket() as sock:
        sock.bind((STRANGER_ADDRESS, 0))
        sock.connect((SLAVE_ADDRESS, PORT))
        sock.settimeout(10)
        assert sock.recv(1) == b""
    assert f"Turned away {STRANGER_ADDRESS}" in caplog.text


def test_a_look_at_the_port_is_no_attack(paired: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """What hotsync-promote does to see whether the MASTER is alive."""
    before = load_presence(paired.slave.paths).refusal
    with caplog.at_level(logging.INFO):
        with socket.socket() as sock:
            sock.bind((MASTER_ADDRESS, 0))
            sock.connect((SLAVE_ADDRESS, PORT))
        until(lambda: f"Lost {MASTER_ADDRESS}" in caplog.text, "the SLAVE notes that somebody has gone")
    assert "Refused" not in caplog.text
    assert load_presence(paired.slave.paths).refusal == before


def test_a_commit_that_cannot_be_finished_for_want_of_space_is_told_to_the_master(hosts: Pair) -> None:
    hosts.pair()
    hosts.slave.stop()
    hosts.slave.store.fail |= dict.fromkeys(("recover", "state"), NoSpace(needed=9, free=1))
    hosts.slave.start()
    with pytest.raises(NoSpace) as told:
        hosts.link()
    assert (told.value.code, told.value.exit_code) == ("replica.space", 8)
    hosts.slave.store.fail.clear()
    with hosts.link() as link:
        assert link.welcome.generation == 0


def test_a_disk_that_is_full_while_pairing_is_no_space(hosts: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "peer.json")

    monkeypatch.setattr("hotsync.state.store.save_peer", full)
    with pytest.raises(NoSpace):
        hosts.pair()
    monkeypatch.undo()
    hosts.both_clocks(60)  # an attempt without an end counts as a guess
    hosts.pair()
    assert hosts.slave.here.peer is not None


def test_nothing_is_begun_while_a_receiver_lives_that_has_let_go_of_its_line(
    paired: Pair, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.agent.slot.ENDING_SECONDS", 0.5)
    monkeypatch.setattr("hotsync.transport.bulk.FIRST_REPLY_SECONDS", 2.0)
    rsync, ended = tmp_path / "bin" / "rsync", tmp_path / "ended"
    rsync.parent.mkdir()
    rsync.write_text(f"#!/bin/sh\nexec <&- >&- 2>&-\nuntil [ -e {ended} ]; do sleep 0.05; done\n")
    rsync.chmod(0o755)
    path = f"{rsync.parent}:/usr/bin:/bin"
    monkeypatch.setattr("tests.contract.agent.pair.RECEIVER_PATH", path)
    empty = tmp_path_file(tmp_path)
    with paired.link(heartbeat=False) as link:
        link.begin(1, EMPTY_DIGEST, empty, 1000, 1)
        with pytest.raises(TransferError):
            link.send(1, source, tmp_path / "list", lambda _: None)
    with paired.link() as second, pytest.raises(PeerBusy, match="has not ended"):
        second.begin(1, EMPTY_DIGEST, empty, 0, 0)
    ended.touch()
    monkeypatch.setattr("hotsync.agent.slot.ENDING_SECONDS", 60.0)
    with paired.link() as third:
        assert third.begin(1, EMPTY_DIGEST, empty, 0, 0).present == 0


def test_a_master_that_listens_tells_its_slave_that_it_is_alive_and_nothing_else(paired: Pair) -> None:
    paired.master.start()
    master = replace(
        paired.callee(paired.master.around.identity.fingerprint),
        address="10.77.0.1",
        ours=paired.slave.here.ours,
        identity=paired.slave.around.identity,
    )
    welcome = hail(master, paired.slave.clock, 5)
    assert (welcome.role, welcome.generation, welcome.rsync) == ("master", 0, None)


def test_the_last_refusal_outlives_no_boot_but_the_last_contact_does(paired: Pair) -> None:
    from hotsync.transport.presence import load_presence

    paired.link().close()
    until(lambda: not load_presence(paired.slave.paths).connected, "the SLAVE sees it end")
    seen = load_presence(paired.slave.paths).last_seen
    shutil.rmtree(paired.slave.paths.run)
    again = load_presence(paired.slave.paths)
    assert again.refusal is None
    assert again.last_seen == seen > 0
