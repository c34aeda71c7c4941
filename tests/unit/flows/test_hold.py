"""What a held server tells, whom, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.agent import guard
from hotsync.cli.rejoin import rejoin_command
from hotsync.engine.one_master import still_served
from hotsync.errors import (
    ClockSkew,
    CommandFailed,
    EpochReleased,
    ExitCode,
    HotSyncError,
    OtherProtocol,
    PeerRefused,
    PeerSilent,
    PeerUnreachable,
    Refused,
    StaleEpoch,
    StillServed,
    UsageError,
    WrongPeer,
    WrongRole,
)
from hotsync.flows import hold as flow
from hotsync.flows.notify import Addressee
from hotsync.flows.save import Surroundings, save
from hotsync.flows.status import read_status
from hotsync.model.alerts import Alert
from hotsync.model.hold import HeardBy, Hold, hint_of
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.rejoin import REPLICA, Rejoin, Terms
from hotsync.model.undo import Undo
from hotsync.report.letters import HELD_BY_WAY, SILENCE, SYNC
from hotsync.report.mail import LocalMailServer
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.hold import held, load_released, note_released, save_hold
from hotsync.state.rejoin import load_rejoin, save_rejoin
from hotsync.state.undo import save_undo
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from hotsync.transport.dial import Callee
from tests.fakes.clock import TickingClock
from tests.fakes.mail import Box
from tests.support.system_log import KeptLog

HOLD = Hold(4, 5.0)
PEER = Peer("slave", "192.0.2.20", "f" * 64, "", "fe80::1%eth0")


@dataclass
class Held:
    """What is done to the machine, in order."""

    done: list[str] = field(default_factory=list[str])

    up: tuple[Address, ...] = ()
    bodies: list[str] = field(default_factory=list[str])

    def apply(self) -> None:
        self.done.append("held")

    def staying(self) -> tuple[Address, ...]:
        return self.up


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    ensure_records(paths)
    props = {"role": "master", "SlaveHost": "192.0.2.20"}
    configuration(paths).set_props("hotsync", props)
    configuration(paths).set_props("rsyncd", {"password": "x"})
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER, 3))
    store.save_peer(paths, PEER)
    return paths


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Held:
    machine = Held()

    def run(argv: Sequence[str], **_: object) -> Completed:
        machine.done.append(" ".join(argv))
        return Completed(0, b"", b"")

    def send(_: LocalMailServer, message: EmailMessage) -> None:
        machine.done.append(f"sendmail: {message['Subject']}")
        machine.bodies.append(message.get_content())

    monkeypatch.setattr("hotsync.flows.hold.command.run", run)
    monkeypatch.setattr(LocalMailServer, "send", send)
    return machine


def test_a_held_server_says_so_at_every_login_and_its_own_mail_server_is_used_while_it_runs(
    paths: Paths, machine: Held
) -> None:
    save_hold(paths, HOLD)
    assert flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    subject, *then = machine.done
    assert subject.startswith("sendmail: [HotSync] ")
    assert "production on this server failed" in subject
    (body,) = machine.bodies
    assert "no relay is set" in body
    assert "The next mail about this comes in a day" not in body, "that mail server stops in a moment"
    assert then == ["held", "systemctl start --no-block hotsync-held-mail.service"]
    for place in ("/run/issue.d/hotsync.issue", "/run/motd.d/hotsync"):
        said = paths.at(place).read_text()
        assert "HELD" in said
        assert "epoch 4" in said
        assert "rejoin --as-master" in said


def test_a_master_that_handed_over_raises_no_alarm(paths: Paths, machine: Held) -> None:
    save_hold(paths, replace(HOLD, planned=True))
    assert flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == [
        "held",
        "systemctl start --no-block hotsync-held-mail.service",
        "systemctl start --no-block hotsync-exchange.service",
    ]
    assert flow.mail_held(paths, TickingClock())
    assert "it handed over to the other server" in paths.at("/run/motd.d/hotsync").read_text()


def test_where_an_address_of_production_does_not_go_that_is_tried_again_and_nothing_else_begins(
    paths: Paths, machine: Held
) -> None:
    save_hold(paths, replace(HOLD, planned=True))
    machine.up = (Address("br-lan", "192.0.2.10", 24),)
    with pytest.raises(CommandFailed, match=r"192\.0\.2\.10/24 is still up on br-lan"):
        flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == ["held", "systemctl start --no-block hotsync-held-mail.service"]
    machine.up = ()
    assert flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done[-1] == "systemctl start --no-block hotsync-exchange.service"


def test_at_the_next_boot_it_is_said_again_without_the_mail_server_that_is_held(paths: Paths, machine: Held) -> None:
    save_hold(paths, replace(HOLD, begun=True))
    flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == ["held", "systemctl start --no-block hotsync-held-mail.service"]
    assert paths.at("/run/motd.d/hotsync").exists()


def test_a_server_that_is_not_held_does_nothing_and_takes_the_word_away(paths: Paths, machine: Held) -> None:
    paths.at("/run/motd.d").mkdir(parents=True)
    paths.at("/run/motd.d/hotsync").write_text("old")
    assert not flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == []
    assert not paths.at("/run/motd.d/hotsync").exists()


def test_the_relay_is_tried_until_it_takes_the_mail(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(full=True)
    monkeypatch.setattr(flow, "addressee_of", lambda *_: Addressee("root", "root@master", (box,)))
    clock = TickingClock()
    assert flow.mail_held(paths, clock)
    assert box.mails == []
    save_hold(paths, HOLD)
    assert not flow.mail_held(paths, clock)
    box.full = False
    assert flow.mail_held(paths, clock)
    assert flow.mail_held(paths, clock)
    assert len(box.mails) == 1
    body = box.mails[0].get_content()
    assert "epoch 4" in body
    assert "What was written here since its promotion is on this server alone" in body


def test_status_of_a_held_server_says_that_and_not_what_does_not_run(paths: Paths) -> None:
    class Down:
        def is_active(self, unit: str) -> bool:
            del unit
            return False

    save_hold(paths, HOLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hotsync.flows.status.next_run", lambda _: 0.0)
        status = read_status(paths, TickingClock(), Down())  # type: ignore[arg-type]
    assert status.hold == HOLD
    assert len(status.warnings) == 1
    assert "HELD" in status.warnings[0]


def test_settings_are_not_put_into_force_on_a_held_server(paths: Paths) -> None:
    save_hold(paths, HOLD)
    with pytest.raises(StaleEpoch):
        save(Surroundings(paths), lambda _: None)


def answers(monkeypatch: pytest.MonkeyPatch, *, superseded: bool) -> list[str]:
    asked: list[str] = []

    def hail(callee: Callee, *_: object) -> None:
        asked.append(callee.address)
        assert callee.ours.epoch in (3, 5)  # to ask claims nothing: what role.json says, and no more
        if superseded:
            raise StaleEpoch(ours=3, theirs=4)
        raise PeerUnreachable(address=callee.address, port=273, reason="no route")

    monkeypatch.setattr(still_served, "hail", hail)
    monkeypatch.setattr(still_served, "load_identity", lambda _: None)
    monkeypatch.setattr(flow, "signs_on_the_wire", lambda *_: ())
    return asked


def test_a_server_whose_peer_answers_as_master_stays_held(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, superseded=True)
    save_hold(paths, HOLD)
    with pytest.raises(Refused, match="it is the MASTER"):
        flow.rejoin_as_master(paths, TickingClock(), lambda _: None)
    assert held(paths) == HOLD
    assert store.load_role(paths).epoch == 3


def test_a_server_whose_peer_is_off_may_come_back_after_every_address_was_asked(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, superseded=False)
    save_hold(paths, HOLD)
    assert flow.may_rejoin_as_master(paths, TickingClock()) == flow.MayServe(HOLD)
    assert asked == ["fe80::1%eth0", "192.0.2.20"]


@pytest.mark.parametrize(
    "answer",
    [
        ClockSkew(seconds=900),
        OtherProtocol(theirs=2, ours=1),
        WrongPeer(address="192.0.2.20", seen="0", pinned="f"),
        PeerSilent(seconds=5, phase="it was greeted"),
        PeerRefused(reason="both servers are MASTER"),
    ],
)
def test_a_peer_that_is_on_and_cannot_be_understood_is_not_taken_for_one_that_is_off(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch, answer: HotSyncError
) -> None:
    """A SLAVE whose clock was wrong had been promoted: both served at the same addresses."""
    answers(monkeypatch, superseded=False)

    def hail(*_: object) -> None:
        raise answer

    monkeypatch.setattr(still_served, "hail", hail)
    save_hold(paths, HOLD)
    with pytest.raises(StillServed, match="port 273 answers") as caught:
        flow.rejoin_as_master(paths, TickingClock(), lambda _: None)
    assert caught.value.exit_code == ExitCode.REFUSED
    assert "--force" in caught.value.hint
    assert held(paths) == HOLD
    assert machine.done == []
    assert len(flow.may_rejoin_as_master(paths, TickingClock(), force=True).signs) == 2


@pytest.mark.parametrize("answer", [None, EpochReleased(ours=3, theirs=4)])
def test_a_peer_that_says_that_it_is_the_slave_or_gave_up_is_in_nobodys_way(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, answer: HotSyncError | None
) -> None:
    answers(monkeypatch, superseded=False)

    def hail(*_: object) -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(still_served, "hail", hail)
    save_hold(paths, HOLD)
    assert flow.may_rejoin_as_master(paths, TickingClock()).signs == ()


def test_a_server_whose_addresses_somebody_has_stays_held_unless_it_is_forced(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, superseded=False)
    monkeypatch.setattr(flow, "signs_on_the_wire", lambda *_: ("52:54:00:77:00:02 holds 192.0.2.10",))
    save_hold(paths, HOLD)
    with pytest.raises(StillServed, match=r"52:54:00:77:00:02 holds 192\.0\.2\.10"):
        flow.may_rejoin_as_master(paths, TickingClock())
    assert flow.may_rejoin_as_master(paths, TickingClock(), force=True).hold == HOLD


def test_force_has_a_person_type_it_and_yes_does_not_mean_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(paths.root))
    monkeypatch.setattr("hotsync.cli.rejoin.log.set_up", lambda _: None)
    monkeypatch.setattr("hotsync.cli.rejoin.socket.gethostname", lambda: "master")
    answers(monkeypatch, superseded=False)
    monkeypatch.setattr(flow, "signs_on_the_wire", lambda *_: ("52:54:00:77:00:02 holds 192.0.2.10",))
    done: list[bool] = []

    def rejoin(*_: object, force: bool) -> int:
        done.append(force)
        return 5

    monkeypatch.setattr("hotsync.cli.rejoin.rejoin_as_master", rejoin)
    save_hold(paths, HOLD)
    for words, typed in (
        (["--yes"], ""),
        (["--force"], "some other\nCANNOT SERVE\n"),
        (["--force"], "master\nyes\n"),
    ):
        assert CliRunner().invoke(rejoin_command, ["--as-master", *words], input=typed).exit_code != 0
    assert done == []
    for words, typed in ((["--force"], "master\nCANNOT SERVE\n"), (["--force", "--yes"], "")):
        said = CliRunner().invoke(rejoin_command, ["--as-master", *words], input=typed)
        assert "52:54:00:77:00:02 holds 192.0.2.10" in said.output
    assert done == [True, True]
    assert CliRunner().invoke(rejoin_command, ["--force"]).exit_code != 0


def test_what_is_asked_on_the_wire_is_every_address_of_production_on_every_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(still_served, "read_cards", lambda: ("eth0", "eth1"))
    monkeypatch.setattr(
        "hotsync.engine.one_master.still_served.live.read_interfaces", lambda: frozenset({"eth0", "eth1", "br0"})
    )
    hold = replace(HOLD, addresses=(Address("br0", "192.0.2.10", 24), Address("br0", "2001:db8::10", 64)))
    asked: list[Address] = []

    def ask(_: str, port: int, wanted: Iterable[Address]) -> tuple[str, ...]:
        asked.extend(wanted)
        return (f"port {port}",)

    assert still_served.signs_on_the_wire(hold, {"192.0.2.99"}, 273, ask) == ("port 273",)
    assert {(each.interface, each.address) for each in asked} == {
        ("br0", "2001:db8::10"),
        *((wire, address) for wire in ("br0", "eth0", "eth1") for address in ("192.0.2.10", "192.0.2.99")),
    }


def test_it_comes_back_above_the_epoch_that_held_it(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, superseded=False)
    monkeypatch.setattr(flow, "save", lambda here, say: say(f"saved {here.paths == paths}"))
    save_hold(paths, HOLD)

    class Back(Held):
        def release(self, epoch: int, *_: object) -> list[str]:
            return [f"epoch {epoch}"]

    said: list[str] = []
    for about in HELD_BY_WAY:
        AlertBook(paths).set(about, Alert(1.0, 1.0))
    assert flow.rejoin_as_master(paths, TickingClock(), said.append, Back()) == 5  # type: ignore[arg-type]
    assert said == ["epoch 5", "saved True"], "HotSync's own timers are started again"
    assert [AlertBook(paths).get(about) for about in HELD_BY_WAY] == [None, None], "the next hold is a first one"
    assert not paths.released_file.exists()
    store.save_role(paths, RoleRecord(Role.MASTER, 5))
    save_hold(paths, replace(HOLD, released=True))  # it was cut in the middle
    assert flow.rejoin_as_master(paths, TickingClock(), said.append, Back()) == 5  # type: ignore[arg-type]


def test_what_held_it_without_a_word_may_be_a_claim_of_the_next_epoch_so_it_comes_back_above_that(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, superseded=False)
    monkeypatch.setattr(flow, "save", lambda *_: None)
    save_hold(paths, Hold(0, 1.0, HeardBy.BOOT, why="another machine answers for its addresses"))
    back = BackAgain()
    assert flow.rejoin_as_master(paths, TickingClock(), lambda _: None, back) == 5  # type: ignore[arg-type]
    assert back.epochs == [5]


class BackAgain(Held):
    """Lets the server serve, and keeps at which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def release(self, epoch: int, *_: object) -> list[str]:
        self.epochs.append(epoch)
        return []


def test_a_server_that_was_cut_on_its_way_back_is_brought_there_by_the_unit(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost terminal left a MASTER that was held no more, and ran nothing."""
    answers(monkeypatch, superseded=False)
    monkeypatch.setattr(flow, "save", lambda *_: machine.done.append("saved"))
    save_hold(paths, HOLD)

    class Cut(Held):
        def release(self, epoch: int, *_: object) -> list[str]:
            store.save_role(paths, RoleRecord(Role.MASTER, epoch))
            save_hold(paths, replace(HOLD, released=True))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flow.rejoin_as_master(paths, TickingClock(), lambda _: None, Cut())  # type: ignore[arg-type]
    assert paths.released_file.exists(), "hotsync-released.path sees it"
    released = Release()
    assert flow.serve_again(paths, TickingClock(), released)  # type: ignore[arg-type]
    assert [done.partition(":")[0] for done in released.done] == ["epoch 5"]
    assert "saved" in machine.done
    assert not paths.released_file.exists()


class Release(Held):
    """What a release does to the machine: nothing here."""

    def release(self, epoch: int, why: str, *_: object) -> list[str]:
        self.done.append(f"epoch {epoch}: {why}")
        return []


def test_a_held_server_whose_peer_gave_up_serves_again_by_itself_and_tells_whom_it_had_told(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "save", lambda *_: machine.done.append("saved"))
    save_hold(paths, HOLD)
    flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    machine.done.clear()
    note_released(paths, store.load_role(paths), 4)
    released = Release()
    assert flow.serve_again(paths, TickingClock(), released)  # type: ignore[arg-type]
    assert released.done == ["epoch 5: the other server gave its promotion to epoch 4 up"]
    assert not paths.at("/run/motd.d/hotsync").exists()
    assert "systemctl stop hotsync-hold.service" in machine.done, "a later hold in this boot must start it anew"
    assert machine.done[-2] == "saved"
    assert "works again" in machine.done[-1]
    assert load_released(paths) == 0


def test_a_master_that_never_heard_of_the_promotion_takes_the_next_epoch_and_goes_on(
    paths: Paths, machine: Held
) -> None:
    note_released(paths, store.load_role(paths), 4)
    assert flow.serve_again(paths, TickingClock())
    role = store.load_role(paths)
    assert (role.role, role.epoch) == (Role.MASTER, 5)
    assert paths.production_flag.exists()
    assert machine.done == []
    assert not flow.serve_again(paths, TickingClock()), "once"
    assert store.load_role(paths) == role


def test_a_server_that_is_the_slave_now_forgets_what_was_mailed_of_the_master_it_was(
    paths: Paths, machine: Held
) -> None:
    for about in (*HELD_BY_WAY, SYNC, SILENCE):
        AlertBook(paths).set(about, Alert(1.0, 1.0))
    store.save_role(paths, RoleRecord(Role.SLAVE, 4))
    flow.end_of_hold(paths)
    assert [AlertBook(paths).get(about) for about in (*HELD_BY_WAY, SYNC)] == [None] * 3
    assert AlertBook(paths).get(SILENCE)


def test_a_server_whose_data_moves_cannot_serve_again_and_nothing_asks_for_it_again_and_again(
    paths: Paths, machine: Held
) -> None:
    """hotsync-released.path saw the file, and started its service again as soon as it had ended."""
    save_hold(paths, HOLD)
    note_released(paths, store.load_role(paths), 4)
    moved = StepRecord(REPLICA, "", "data", 1.0, 2.0, Outcome.DONE, "")
    save_rejoin(paths, Rejoin(Terms(4, 7, "d" * 64), 1.0, "/vault", (), records=(moved,)))
    assert not flow.serve_again(paths, TickingClock())
    assert not paths.released_file.exists()
    assert not note_released(paths, store.load_role(paths), 4)
    assert held(paths) == HOLD
    assert machine.done == []


def test_a_rejoin_that_has_moved_nothing_is_over_when_the_server_serves_again(
    paths: Paths, machine: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "save", lambda *_: None)
    save_hold(paths, replace(HOLD, planned=True))
    note_released(paths, store.load_role(paths), 4)
    save_rejoin(paths, Rejoin(Terms(4, 7, "d" * 64), 1.0, "/vault", ()))
    assert flow.serve_again(paths, TickingClock(), Release())  # type: ignore[arg-type]
    assert "systemctl stop hotsync-held-mail.service hotsync-exchange.service" in machine.done
    assert load_rejoin(paths) is None


def test_who_handed_over_is_told_of_the_switchover_and_not_of_an_undo() -> None:
    assert "undo" in hint_of(HOLD)
    assert "undo" not in hint_of(replace(HOLD, planned=True))
    assert "hotsync-promote --planned" in hint_of(replace(HOLD, planned=True))


def test_a_release_changes_nothing_where_a_newer_promotion_holds_the_server(paths: Paths, machine: Held) -> None:
    note_released(paths, store.load_role(paths), 4)
    save_hold(paths, replace(HOLD, epoch=6))
    assert not flow.serve_again(paths, TickingClock())
    assert machine.done == []
    assert store.load_role(paths).epoch == 3
    assert load_released(paths) == 0


def test_who_is_no_held_master_cannot_come_back_as_one(paths: Paths) -> None:
    with pytest.raises(UsageError, match="serves already"):
        flow.may_rejoin_as_master(paths, TickingClock())
    store.save_role(paths, RoleRecord(Role.SLAVE, 3))
    with pytest.raises(WrongRole):
        flow.may_rejoin_as_master(paths, TickingClock())


def test_the_command_asks_for_this_servers_name(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(paths.root))
    monkeypatch.setattr("hotsync.cli.rejoin.log.set_up", lambda _: None)
    answers(monkeypatch, superseded=False)
    save_hold(paths, HOLD)
    said = CliRunner().invoke(rejoin_command, ["--as-master"], input="some other\n")
    assert said.exit_code != 0
    assert held(paths) == HOLD
    assert CliRunner().invoke(rejoin_command, []).exit_code != 0


def test_the_unit_runs_one_of_its_words(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(paths.root))
    monkeypatch.setattr("hotsync.agent.guard.log.set_up", lambda _: None)
    assert guard.main(["mail"]) == 0
    assert guard.main(["hold"]) == 0
    assert guard.main(["released"]) == 0
    assert guard.main([]) == 2
    assert guard.main(["dance"]) == 2


def undo_of(paths: Paths, *, etc_is_back: bool) -> None:
    """A promotion is being undone here, and /etc is production's still, or this server's own again."""
    paths.at("/etc").mkdir(exist_ok=True)
    there = paths.at("/etc").stat().st_ino
    promotion = Promotion(3, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), (), finished_at=2.0)
    document.save_promotion(paths, replace(promotion, etc_inode=there + 1 if etc_is_back else there))
    save_undo(paths, Undo(3, 7, 1.0, was_master=True))


def test_a_slave_is_never_held_whatever_it_heard_before_it_became_one(paths: Paths, machine: Held) -> None:
    store.save_role_and_flag(paths, RoleRecord(Role.SLAVE, 3))
    save_hold(paths, HOLD)
    assert not flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == []


def test_in_the_middle_of_an_undo_it_is_held_until_its_own_files_are_back(paths: Paths, machine: Held) -> None:
    save_hold(paths, replace(HOLD, begun=True))
    undo_of(paths, etc_is_back=False)
    assert flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done[0] == "held"
    machine.done.clear()
    undo_of(paths, etc_is_back=True)
    assert not flow.hold(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == []
    assert "UNDONE" in paths.at("/run/motd.d/hotsync").read_text()


def test_nobody_makes_a_server_serve_again_whose_promotion_is_being_undone(paths: Paths, machine: Held) -> None:
    save_hold(paths, HOLD)
    note_released(paths, store.load_role(paths), 4)
    undo_of(paths, etc_is_back=False)
    with pytest.raises(Refused, match="being undone"):
        flow.rejoin_as_master(paths, TickingClock(), lambda _: None, machine)  # type: ignore[arg-type]
    assert not flow.serve_again(paths, TickingClock(), machine)  # type: ignore[arg-type]
    assert machine.done == []
    assert held(paths) == HOLD
