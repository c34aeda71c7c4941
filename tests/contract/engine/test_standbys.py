"""Standbys on a waiting SLAVE and in a promotion: real clusters and agents, without a service manager."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.agent import stream
from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree
from hotsync.engine.standby import postgresql as standby_postgresql
from hotsync.engine.standby import standbys, streaming, warm
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.model.generation import DatasetPoint
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import DatabaseDump
from hotsync.model.report import Verdict
from hotsync.model.slave_checks import check_standbys
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.model.warm import Budget
from hotsync.sources.followed import Pace, is_followed
from hotsync.sources.postgresql import slot as slots
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import login_of
from hotsync.sources.postgresql.seed import give_up
from hotsync.sources.postgresql.standby import SIGNAL
from hotsync.sources.registry import collect_all
from hotsync.sources.source import Context
from hotsync.state.store import save_role
from hotsync.system import command, trees
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import PresenceBook
from tests.contract.agent.pair import until
from tests.contract.agent.streamed import NAME, Streamed, streamed
from tests.contract.sources import servers
from tests.contract.sources.servers import Postgresql

pytestmark = pytest.mark.contract

LOG = "standby.log"


class Units:
    """What systemd does for waiting servers: starts them as their user, and remembers what they said."""

    def __init__(self, root: Path) -> None:
        self._log = root / LOG
        self.running: dict[str, command.Process] = {}
        self.tools: list[str] = []

    def start(self, paths: Paths, server: WaitingServer) -> None:
        self.stop(paths, server.name)
        waiting_servers.prepare(paths, server)
        argv = [word.replace("fsync=on", "fsync=off") for word in server.argv]
        self._log.write_text("")
        account = pwd.getpwnam(server.user)
        with self._log.open("ab") as log:
            process = command.Process(
                argv, stdin=command.DEVNULL, stdout=log, stderr=log, start_new_session=True, user=server.user,
                group=account.pw_gid, extra_groups=[], cwd="/", env=command.environment(),
            )  # fmt: skip
        self.running[server.name] = process
        while "ready to accept read-only connections" not in (said := self._log.read_text()):
            if process.poll() is not None:
                raise CommandFailed(program=argv[0], status="failed", detail=said[-300:], line=argv[0])
            if "ready to accept connections" in said:
                return
            time.sleep(0.05)

    def stop(self, paths: Paths, name: str) -> None:
        process = self.running.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait()
        trees.remove(waiting_servers.folder_of(paths, name))

    def is_active(self, name: str) -> bool:
        return name in self.running and self.running[name].poll() is None

    def said(self, name: str) -> str:
        assert self.is_active(name)
        return self._log.read_text()

    def run_tool(self, name: str, user: str, writes: Path, environment: dict[str, str], argv: Sequence[str]) -> None:
        assert writes.parent.name == "15"
        self.tools.append(name)
        command.run(argv, user=user, env=environment, cwd="/")

    def kill(self) -> None:
        for process in self.running.values():
            command.kill_group(process)
            process.wait()


class Slave:
    """The SLAVE's side of a streamed pair, as its commands see it."""

    def __init__(self, world: Streamed, units: Units) -> None:
        self.world, self.units = world, units
        self.paths = world.pair.slave.paths
        self.clock = SystemClock()
        self.noted: list[tuple[StandbyShown, str]] = []

    def sync(self) -> None:
        """A generation with the MASTER's dumps as they are now."""
        context = Context(self.world.pair.master.paths)
        postgresql.collect(context, self.world.master.dataset())
        spool = spool_of_tree(self.paths)
        trees.remove(spool)
        shutil.copytree(context.paths.spool, spool)

    @property
    def dump(self) -> DatabaseDump:
        return next(dump for dump in read_told(self.paths).dumps if dump.name == NAME)

    def facts(self) -> StandbyFacts | None:
        return next(iter(standbys.read_standbys(self.paths, (self.dump,))), None)

    def tend(self) -> None:
        standbys.tend(self.paths, (self.dump,), NAME)

    def take_over(self, epoch: int = 1) -> bool:
        return standbys.take_over(
            self.paths, self.dump, epoch, self.clock, lambda shown, why: self.noted.append((shown, why))
        )

    def connected(self, *, yes: bool) -> None:
        PresenceBook(self.paths, self.clock, print).seen(connected=yes)

    def production(self, folder: Path) -> Postgresql:
        """Start the cluster as its production unit does."""
        shutil.chown(folder, "postgres")
        words = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        argv = [self.world.standby.login.tool("pg_ctl"), "-D", str(self.world.standby.data), "-w"]
        command.run([*argv, "-l", f"{folder}/log", "-o", words, "start"], user="postgres", cwd="/")
        return Postgresql(folder)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with servers.open_folder() as folder:
        yield servers.prepare_postgresql(folder / "data")


@pytest.fixture
def slave(template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slave]:
    with streamed(template) as world:
        units = Units(world.pair.slave.paths.root)
        for name in ("start", "stop", "is_active", "said", "run_tool"):
            monkeypatch.setattr(waiting_servers, name, getattr(units, name))
        both = Slave(world, units)
        world.master.psql("CREATE TABLE t (n int)")
        both.sync()
        try:
            yield both
        finally:
            units.kill()


@pytest.fixture
def following(slave: Slave) -> Slave:
    """A SLAVE whose standby follows."""
    slave.world.start_streaming()
    slave.tend()
    until(lambda: slave.world.standing().streaming, "it streams")
    return slave


def test_what_the_master_does_not_stream_is_left_to_dumps(slave: Slave) -> None:
    assert slave.facts() is None
    slave.tend()
    assert slave.units.running == {}
    assert not standbys.is_standby(slave.paths, slave.dump)


def test_a_streamed_cluster_is_copied_and_followed_and_no_dump_is_loaded_into_it(slave: Slave) -> None:
    slave.world.start_streaming()
    before = slave.facts()
    assert before is not None
    assert before.to_do == "copy postgresql/15-main from the MASTER: there is no copy yet"
    slave.tend()
    assert slave.units.tools == ["seed-postgresql@15-main"]
    until(lambda: slave.world.standing().streaming, "it streams")
    after = slave.facts()
    assert after is not None
    assert (after.to_do, after.trouble) == ("", "")
    assert warm.wanted_loads(slave.paths, (slave.dump,), Budget(60, 2**40)) == ()
    assert warm.bytes_left(slave.paths, slave.dump) == 0
    slave.tend()
    assert slave.units.tools == ["seed-postgresql@15-main"]
    shown = standbys.shown(slave.paths, (slave.dump,), slave.clock.now())
    assert [each.name for each in shown] == [NAME]
    until(lambda: standbys.shown(slave.paths, (slave.dump,), slave.clock.now())[0].lag < 30, "it is near")
    assert not shown[0].fault


def test_the_last_dump_stays_while_the_standby_follows_and_every_run_dumps_when_it_does_not(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = following.world.master
    monkeypatch.setattr(postgresql, "inspect", lambda _: (master.dataset(),))

    def run() -> dict[str, DatasetPoint]:
        context = Context(following.world.pair.master.paths)
        done = collect_all(context, pace=Pace(3600.0), sources=(postgresql,))
        assert done.failures == ()
        return {point.name: point for point in done.points}

    until(lambda: is_followed(master.dataset()), "the MASTER sees that it follows")
    first = run()
    master.psql("INSERT INTO t VALUES (1)")
    assert run() == first
    assert {point.streamed for point in first.values()} == {True}
    until(lambda: following.world.has("SELECT count(*) FROM t", "1"), "the standby has more than the dump")
    following.units.stop(following.paths, following.world.standby.server)
    until(lambda: not is_followed(master.dataset()), "it follows no more")
    later = run()
    assert later.keys() == first.keys()
    assert all(point.taken_at > first[name].taken_at and not point.streamed for name, point in later.items())


def test_a_standby_that_was_stopped_goes_on_and_its_status_says_so_meanwhile(following: Slave) -> None:
    following.units.stop(following.paths, following.world.standby.server)
    shown = standbys.shown(following.paths, (following.dump,), following.clock.now())
    assert [each.fault for each in shown] == ["its standby does not run: run hotsync-slave"]
    assert not shown[0].answers
    facts = following.facts()
    assert facts is not None
    assert facts.to_do == "start the standby of postgresql/15-main"
    following.world.master.psql("INSERT INTO t VALUES (1)")
    following.tend()
    assert len(following.units.tools) == 1
    until(lambda: following.world.has("SELECT count(*) FROM t", "1"), "the row is there")


def test_a_standby_that_lost_its_way_is_copied_anew(following: Slave) -> None:
    slots.drop(login_of(following.world.master.dataset()))
    until(lambda: "does not exist" in following.units.said(following.world.standby.server), "it finds no slot")
    facts = following.facts()
    assert facts is not None
    assert facts.copy_because == "the MASTER gave up keeping its log for this server"
    following.world.master.psql("INSERT INTO t VALUES (1)")
    following.tend()
    assert len(following.units.tools) == 2
    until(lambda: following.world.has("SELECT count(*) FROM t", "1"), "the row is there")


@pytest.mark.parametrize("more", ["SELECT 1", "SELECT pg_switch_wal(); INSERT INTO t VALUES (3)"])
def test_a_standby_that_has_what_its_master_lost_is_copied_anew(following: Slave, more: str) -> None:
    master = following.world.master
    folder = master.folder
    argv = [following.world.standby.login.tool("pg_ctl"), "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    start = [*argv, "-o", f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off", "start"]
    command.run([*argv, "-m", "fast", "stop"], user="postgres", cwd="/")
    command.run(["cp", "-a", f"{folder}/data", f"{folder}/before"])
    command.run(start, user="postgres", cwd="/")
    master.psql(f"INSERT INTO t SELECT generate_series(1, 20000); {more}")
    rows = master.psql("SELECT count(*) FROM t").strip()
    until(lambda: following.world.has("SELECT count(*) FROM t", rows), "the standby has what will be lost")
    # the disk is put back to an older state
    master.stop()
    trees.remove(folder / "data")
    (folder / "before").rename(folder / "data")
    command.run(start, user="postgres", cwd="/")
    master.psql("INSERT INTO t VALUES (9)")

    def why() -> str:
        facts = following.facts()
        return facts.copy_because if facts is not None else ""

    until(lambda: why() == "it and the MASTER have gone different ways", "it is seen")
    following.tend()
    until(lambda: following.world.has("SELECT n FROM t", "9"), "it has what the MASTER has")


def test_a_standby_follows_a_master_whose_settings_grew(following: Slave) -> None:
    following.world.master.psql("ALTER SYSTEM SET max_connections = 150")
    folder = following.world.master.folder
    argv = [following.world.standby.login.tool("pg_ctl"), "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    command.run([*argv, "restart"], user="postgres", cwd="/")
    following.world.master.psql("INSERT INTO t VALUES (1)")
    until(lambda: following.facts() is not None and not following.facts().runs, "it has come to a halt")  # type: ignore[union-attr]
    following.tend()
    assert len(following.units.tools) == 1
    until(lambda: following.world.has("SELECT count(*) FROM t", "1"), "the row is there")
    assert following.world.ask("SHOW max_connections") == "150"


def test_after_a_boot_a_standby_is_started_again_unless_a_promotion_has_begun(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(following.paths.root))
    following.units.stop(following.paths, following.world.standby.server)
    save_role(following.paths, RoleRecord(Role.SLAVE, claim=1))
    assert stream.main(["standby"]) == 0
    assert following.units.running == {}
    save_role(following.paths, RoleRecord(Role.SLAVE))
    assert stream.main(["standby"]) == 0
    until(lambda: following.world.standing().streaming, "it streams")
    started = dict(following.units.running)
    assert stream.main(["standby"]) == 0
    assert following.units.running == started
    following.units.stop(following.paths, following.world.standby.server)
    (following.world.standby.data / "global/pg_control").write_bytes(b"")
    assert stream.main(["standby"]) == 0
    assert following.units.running == {}


def test_when_hotsync_is_removed_no_copy_stays(following: Slave, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(following.paths.root))
    monkeypatch.setattr(slots, "inspect_clusters", lambda: ())
    following.world.stop_streaming()
    assert stream.main(["drop"]) == 0
    assert following.units.running == {}
    assert not following.world.standby.data.exists()
    monkeypatch.setenv("HOTSYNC_ROOT", str(following.world.pair.master.paths.root))
    monkeypatch.setattr(slots, "inspect_clusters", lambda: (following.world.master.dataset(),))
    assert slots.look(login_of(following.world.master.dataset())) is not None
    assert stream.main(["drop"]) == 0
    assert slots.look(login_of(following.world.master.dataset())) is None
    assert stream.main(["nonsense"]) == 2


def test_what_cannot_be_streamed_is_said_and_a_copy_of_it_is_given_up(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby_postgresql, "this_platform", lambda: "x86_64 glibc 2.41")
    facts = following.facts()
    assert facts is not None
    assert "they may sort text differently" in facts.trouble
    following.tend()
    assert following.units.running == {}
    assert list(following.world.standby.data.parent.iterdir()) == []
    facts = following.facts()
    assert facts is not None
    assert (facts.to_do, facts.over) == ("", "")


@pytest.mark.parametrize(
    ("setting", "hba", "said"),
    [
        ("-c max_wal_senders=0", "", "exceeds max_wal_senders"),
        ("-c max_wal_senders=0 -c wal_level=minimal", "", "exceeds max_wal_senders"),
        ("", "local replication all reject\nlocal all all peer\n", "pg_hba.conf rejects replication connection"),
    ],
)
def test_why_a_master_lets_nobody_follow_it_is_said_on_both_servers(
    template: Path, setting: str, hba: str, said: str
) -> None:
    with streamed(template, setting) as world:
        if hba:
            (world.master.folder / "data/pg_hba.conf").write_text(hba)
            world.master.psql("SELECT pg_reload_conf()")
        slave = Slave(world, Units(world.pair.slave.paths.root))
        slave.sync()
        world.start_streaming()
        until(lambda: said in str(slave.facts()), "the MASTER's server refuses it")
        facts = slave.facts()
        assert facts is not None
        assert facts.to_do == ""
        assert facts.trouble.startswith(f"{NAME} is not streamed: the MASTER's server refuses it: ")
        (check,) = check_standbys({}, [facts])
        assert (check.verdict, said in check.detail) == (Verdict.AMBER, True)
        assert "a promotion loads its dumps" in check.hint
        found = (world.master.dataset(), replace(world.master.dataset(), instance="15-down", fault="it is down"))
        for tell in (streaming.announce, streaming.set_up):
            (sentence,) = tell(world.pair.master.paths, lambda _: found)
            assert sentence.startswith(f"{NAME} cannot be streamed: ")
            assert sentence.endswith(". Its dumps go on.")
        complaints = stream.refusing(found)
        assert [("max_wal_senders is 0" in each, "wal_level" in each) for each in complaints] == (
            [(True, "minimal" in setting)] if setting else []
        )


def test_of_a_cluster_that_can_be_followed_nothing_is_said(slave: Slave) -> None:
    found = (slave.world.master.dataset(),)
    assert streaming.announce(slave.world.pair.master.paths, lambda _: found) == []
    assert stream.refusing(found) == []


def test_a_copy_is_kept_while_the_master_is_away_and_given_up_when_it_streams_no_more(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "_COMES_BACK_SECONDS", 0.01)
    following.world.stop_streaming()
    following.connected(yes=False)
    following.world.master.psql("INSERT INTO t VALUES (1)")
    following.sync()
    facts = following.facts()
    assert facts is not None
    assert (facts.to_do, facts.trouble) == ("", "")
    following.connected(yes=True)
    facts = following.facts()
    assert facts is not None
    assert facts.over == "the MASTER streams it no more"
    with monkeypatch.context() as patch:
        patch.setattr(standbys, "_comes_back", lambda _: True)
        following.tend()
    assert standbys.is_standby(following.paths, following.dump)
    following.tend()
    assert following.facts() is None
    assert not following.world.standby.data.exists()


def test_what_this_server_had_itself_comes_back_when_a_copy_is_given_up(slave: Slave) -> None:
    data = slave.world.standby.data
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    (data / SIGNAL).write_text("")  # this server's own standby of somebody else
    os.chown(data, pwd.getpwnam("postgres").pw_uid, -1)
    assert not standbys.is_standby(slave.paths, slave.dump)
    slave.world.start_streaming()
    slave.tend()
    assert standbys.is_standby(slave.paths, slave.dump)
    slave.units.stop(slave.paths, slave.world.standby.server)
    slave.world.stop_streaming()
    give_up(slave.world.standby)
    assert sorted(path.name for path in data.iterdir()) == ["PG_VERSION", SIGNAL]
    assert [path.name for path in data.parent.iterdir()] == ["main"]


def test_a_copy_for_which_there_is_no_room_is_not_begun(slave: Slave, monkeypatch: pytest.MonkeyPatch) -> None:
    slave.world.start_streaming()
    monkeypatch.setattr(standby_postgresql, "free_at", lambda _: 10)
    with pytest.raises(RestoreFailed, match="lacks room"):
        slave.tend()
    assert slave.units.tools == []


def test_a_promotion_takes_over_what_was_committed_after_the_last_sync(following: Slave) -> None:
    following.world.master.psql("INSERT INTO t SELECT generate_series(1, 500)")
    until(lambda: following.world.has("SELECT count(*) FROM t", "500"), "the rows are there")
    committed = following.clock.now()
    following.world.master.stop()
    following.world.stop_streaming()
    (before,) = standbys.shown(following.paths, (following.dump,), following.clock.now())
    assert before.answers
    assert before.holds_dump
    assert following.take_over()
    ((taken, why),) = following.noted
    assert why == ""
    assert committed - 60 < taken.as_of <= following.clock.now()
    assert "/" in taken.position
    assert following.units.running == {}
    assert standbys.was_taken_over(following.paths, following.dump, 1)
    assert not standbys.was_taken_over(following.paths, following.dump, 2)
    # a promotion that was cut goes on
    assert following.take_over()
    with servers.open_folder() as folder:
        production = following.production(folder)
        try:
            assert production.psql("SELECT count(*), pg_is_in_recovery() FROM t").strip() == "500|f"
        finally:
            Postgresql(folder).psql("CHECKPOINT")
            argv = [following.world.standby.login.tool("pg_ctl"), "-D", str(following.world.standby.data)]
            command.run([*argv, "-w", "-m", "fast", "stop"], user="postgres", cwd="/")


def test_a_promotion_that_was_cut_before_the_standby_was_promoted_goes_on(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.world.stop_streaming()

    def cut(_: object) -> None:
        raise RestoreFailed(dataset=NAME, reason="the power went")

    with monkeypatch.context() as patch:
        patch.setattr(standby_postgresql, "promote", cut)
        with pytest.raises(RestoreFailed, match="the power went") as failed:
            following.take_over()
    assert not standbys.was_taken_over(following.paths, following.dump, 1)
    assert f"move {following.world.standby.data} away" in failed.value.hint
    following.units.stop(following.paths, following.world.standby.server)
    assert following.take_over()
    assert standbys.was_taken_over(following.paths, following.dump, 1)


def test_a_standby_that_was_moved_away_in_the_middle_leaves_it_to_the_dump(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: object) -> None:
        raise RestoreFailed(dataset=NAME, reason="the disk is full")

    monkeypatch.setattr(standby_postgresql, "promote", cut)
    with pytest.raises(RestoreFailed, match="the disk is full"):
        following.take_over()
    following.units.stop(following.paths, following.world.standby.server)
    following.world.standby.data.rename(following.world.standby.data.with_name("away"))
    assert not following.take_over()
    assert following.noted[-1][1] == f"{following.world.standby.data} was moved away"
    following.world.standby.data.mkdir()
    assert not standbys.was_taken_over(following.paths, following.dump, 1)


def test_a_dump_that_ends_where_the_log_goes_on_in_another_file_is_held(following: Slave) -> None:
    following.world.master.psql("INSERT INTO t VALUES (1)")
    following.world.master.psql("SELECT pg_switch_wal()")
    following.sync()
    until(
        lambda: standbys.shown(following.paths, (following.dump,), following.clock.now())[0].holds_dump,
        "the standby has all of it",
    )


def test_a_standby_that_still_applies_what_it_has_received_is_waited_for(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [f"0/{number:X}" for number in range(1, 60)]

    def holds_all(_: object) -> bool:
        return not places

    def shown(*_: object) -> StandbyShown:
        return StandbyShown(NAME, position=places.pop(0) if places else "0/FF")

    monkeypatch.setattr(standbys, "_CATCH_UP_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(standby_postgresql, "read_control", lambda _: SimpleNamespace(system_identifier="another"))
        follower = standbys.follower_of(following.paths, following.dump)
        assert follower is not None
        assert not follower.can_hold(), "of another cluster it never holds anything"
    with monkeypatch.context() as patch:
        patch.setattr(standby_postgresql.PostgresqlFollower, "holds_all", holds_all)
        patch.setattr(standbys, "_shown", shown)
        assert following.take_over()
    assert following.noted[-1][1] == ""


def test_a_standby_that_lacks_what_the_last_dump_holds_is_given_up_for_the_dump(
    following: Slave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "_CATCH_UP_LOOKS", 1)
    following.world.stop_streaming()
    until(lambda: not following.world.standing().streaming, "it is cut off")
    following.world.master.psql("INSERT INTO t VALUES (1)")
    following.sync()
    (before,) = standbys.shown(following.paths, (following.dump,), following.clock.now())
    assert (before.answers, before.exact, before.holds_dump) == (True, False, False)
    assert not following.take_over()
    assert [why for _, why in following.noted] == ["it lacks what the last dump holds"]
    assert not standbys.was_taken_over(following.paths, following.dump, 1)
    assert not following.world.standby.data.exists()
    assert following.units.running == {}
