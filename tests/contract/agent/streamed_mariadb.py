"""A MASTER with a real MariaDB server and a SLAVE with a real replica of it, joined by two real agents."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from hotsync.agent.daemon import applied_here
from hotsync.agent.stream import Streamer
from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree
from hotsync.engine.standby import standbys
from hotsync.engine.standby.mariadb import follower_of
from hotsync.engine.standby.warm import wanted_loads
from hotsync.engine.standby.warm_load import WarmDatabases
from hotsync.errors import CommandFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.model.standby import StandbyFacts, StandbyShown
from hotsync.model.warm import Budget
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import streaming as mariadb_streaming
from hotsync.sources.mariadb.client import parse_rows
from hotsync.sources.mariadb.standby import Standby, Standing, read_standing
from hotsync.sources.source import Context, Dataset
from hotsync.system import command, trees
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import PresenceBook
from tests.contract.agent.pair import Pair, two_hosts, until
from tests.contract.sources import servers
from tests.contract.sources.servers import Mariadb, open_folder

NAME = "mariadb/default"
UNIT = "mariadb.service"
LOGS = ("--log-bin=hotsync-bin", "--server-id=77", "--binlog-format=ROW", "--max-binlog-size=4096")


class Units:
    """What systemd does for waiting servers: starts them as their user, and remembers what it was told."""

    def __init__(self, root: Path) -> None:
        self.log = root / "standby.log"
        self.running: dict[str, command.Process] = {}
        self.lines: list[str] = []

    def start(self, paths: Paths, server: WaitingServer) -> None:
        self.stop(paths, server.name)
        sockets = waiting_servers.prepare(paths, server)
        account = pwd.getpwnam(server.user)
        # a test's server may lose what a power cut would take
        argv = [*server.argv, "--innodb-use-native-aio=0", "--innodb-flush-log-at-trx-commit=0"]
        self.lines += argv
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, self.log.open("ab") as log:
            place = sockets / "ready"
            ready.bind(str(place))
            os.chown(place, account.pw_uid, account.pw_gid)
            process = command.Process(
                argv, stdin=command.DEVNULL, stdout=log, stderr=log, start_new_session=True, user=server.user,
                group=account.pw_gid, extra_groups=[], cwd="/", env=command.environment({"NOTIFY_SOCKET": str(place)}),
            )  # fmt: skip
            self.running[server.name] = process
            ready.settimeout(0.1)
            while True:
                with suppress(TimeoutError):
                    if b"READY=1" in ready.recv(4096):
                        return
                if process.poll() is not None:
                    raise CommandFailed(program=argv[0], status="failed", detail=self.said("")[-500:], line=argv[0])

    def stop(self, paths: Paths, name: str) -> None:
        process = self.running.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        trees.remove(waiting_servers.folder_of(paths, name))

    def is_active(self, name: str) -> bool:
        return name in self.running and self.running[name].poll() is None

    def said(self, _name: str) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        for process in self.running.values():
            command.kill_group(process)
            process.wait()
        self.running.clear()


@dataclass
class Streamed:
    """Both sides, as their commands see them."""

    pair: Pair
    master: Mariadb
    units: Units
    noted: list[tuple[StandbyShown, str]] = field(default_factory=list[tuple[StandbyShown, str]])
    _streaming: ExitStack = field(default_factory=ExitStack)

    @property
    def paths(self) -> Paths:
        return self.pair.slave.paths

    @property
    def dataset(self) -> Dataset:
        return Dataset("mariadb", "default", socket=self.master.socket, unit=UNIT)

    def set_up(self) -> str:
        return mariadb_streaming.set_up(self.pair.master.paths, self.dataset, [self.dataset])

    def sync(self) -> None:
        """A generation with the MASTER's dumps as they are now."""
        context = Context(self.pair.master.paths)
        mariadb.collect(context, self.dataset)
        spool = spool_of_tree(self.paths)
        trees.remove(spool)
        shutil.copytree(context.paths.spool, spool)

    @property
    def dump(self) -> DatabaseDump:
        return next(dump for dump in read_told(self.paths).dumps if dump.name == NAME)

    @property
    def standby(self) -> Standby:
        follower = follower_of(self.paths, self.dump)
        assert follower is not None
        return follower.standby

    def start_streaming(self) -> None:
        """What hotsync-stream.service does."""
        streamer = Streamer(self.pair.master.paths, self.pair.master.clock, lambda: ())
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.05):
                streamer.look()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._streaming.callback(streamer.stop)
        self._streaming.callback(thread.join)
        self._streaming.callback(stop.set)
        until(lambda: self.standby.offered, "a stream waits")

    def stop_streaming(self) -> None:
        self._streaming.close()

    def facts(self) -> StandbyFacts | None:
        return next(iter(standbys.read_standbys(self.paths, (self.dump,))), None)

    def load(self) -> None:
        clock = SystemClock()
        for wanted in wanted_loads(self.paths, (self.dump,), Budget(60, 2**40)):
            assert not wanted.hindrance, wanted.hindrance
            WarmDatabases(self.paths, clock, clock.now() + 3600).load(wanted)

    def tend(self) -> None:
        standbys.tend(self.paths, (self.dump,), NAME, self.load)

    def take_over(self, epoch: int = 1) -> bool:
        return standbys.take_over(
            self.paths, self.dump, epoch, SystemClock(), lambda shown, why: self.noted.append((shown, why))
        )

    def shown(self) -> StandbyShown:
        (found,) = standbys.shown(self.paths, (self.dump,), SystemClock().now())
        return found

    def standing(self) -> Standing:
        return read_standing(self.standby)

    def ask(self, sql: str) -> str:
        """Ask the standby."""
        return sql_at(str(self.standby.folder / "socket/mysqld.sock"), sql)

    def has(self, sql: str, answer: str) -> bool:
        with suppress(CommandFailed):
            return self.ask(sql) == answer
        return False

    def follows(self) -> bool:
        with suppress(CommandFailed, ValueError):
            return self.standing().connected
        return False

    def connected(self, *, yes: bool) -> None:
        PresenceBook(self.paths, self.pair.slave.clock, print).seen(connected=yes)

    @contextmanager
    def production(self) -> Iterator[Mariadb]:
        """Run the server as its production unit does: nothing of ours is in its arguments."""
        with open_folder() as folder, servers.mariadb(self.standby.data, "--event-scheduler=OFF") as server:
            del folder
            yield server


def sql_at(place: str, text: str) -> str:
    answer = command.run(
        ["mariadb", "--no-defaults", f"--socket={place}", "--batch", "--skip-column-names"], input=text.encode()
    ).text
    return "\n".join("|".join(row) for row in parse_rows(answer))


@contextmanager
def streamed(template: Path, patch: pytest.MonkeyPatch, *options: str) -> Iterator[Streamed]:
    """Give both sides; nothing is streamed yet, but there is a generation."""
    owner = pwd.getpwnam("mysql")
    with open_folder() as folder, servers.mariadb(template, *(options or LOGS)) as master, two_hosts(folder) as pair:
        pair.slave.stop()
        pair.slave.applied = partial(applied_here, pair.slave.paths)
        pair.slave.start()
        pair.pair()
        pair.master.set("hotsync", databases="streaming")
        pair.master.paths.at("/etc/mysql/mariadb.conf.d").mkdir(parents=True)
        (folder / "slave").chmod(0o755)
        units = Units(pair.slave.paths.root)
        for name in ("start", "stop", "is_active", "said"):
            patch.setattr(waiting_servers, name, getattr(units, name))
        world = Streamed(pair, master, units)
        data = pair.slave.paths.at(f"{master.folder}/data")
        data.parent.mkdir(parents=True)
        command.run(["cp", "-a", str(template), str(data)])
        command.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", str(data)])
        umask = os.umask(0o077)  # as the units have it
        try:
            yield world
        finally:
            os.umask(umask)
            units.kill()
            world.stop_streaming()
