"""A MASTER with a real PostgreSQL cluster and a SLAVE with a real standby of it, joined by two real agents."""

from __future__ import annotations

import os
import pwd
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.agent.stream import Streamer
from hotsync.backends import waiting_servers
from hotsync.sources.postgresql.seed import seed
from hotsync.sources.postgresql.standby import Standby, Standing, read_standing, server_of
from hotsync.system import command, trees
from tests.contract.agent.pair import Pair, two_hosts, until
from tests.contract.sources.servers import Postgresql, open_folder, postgresql

NAME = "postgresql/15-main"


@dataclass
class Streamed:
    """Both sides; `master` is the MASTER's cluster, `standby` its copy on the SLAVE, which runs when started."""

    pair: Pair
    master: Postgresql
    standby: Standby
    _stack: ExitStack = field(default_factory=ExitStack)
    _streaming: ExitStack = field(default_factory=ExitStack)
    _server: ExitStack = field(default_factory=ExitStack)

    def start_streaming(self) -> None:
        """What hotsync-stream.service does."""
        streamer = Streamer(self.pair.master.paths, self.pair.master.clock, lambda: (self.master.dataset(),))
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.05):
                streamer.look()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._streaming.callback(streamer.stop)
        self._streaming.callback(thread.join)
        self._streaming.callback(stop.set)
        until(lambda: (self.standby.upstream / ".s.PGSQL.5432").exists(), "a stream waits")

    def stop_streaming(self) -> None:
        self._streaming.close()

    def seed(self) -> None:
        seed(self.standby)

    def start_standby(self) -> None:
        """What the unit of the waiting server does."""
        server = server_of(self.standby)
        paths = self.pair.slave.paths
        self._server.callback(trees.remove, waiting_servers.folder_of(paths, server.name))
        waiting_servers.prepare(paths, server)
        # a test's server may lose what a power cut would take
        argv = [word.replace("fsync=on", "fsync=off") for word in server.argv]
        log = self._server.enter_context(self.log.open("ab"))
        process = self._server.enter_context(command.spawn(argv, stdout=log, stderr=log, user="postgres", cwd="/"))
        self._server.callback(_end, process)
        until(lambda: self.said("accept read-only connections"), "the standby is up")

    def stop_standby(self) -> None:
        self._server.close()
        if self.log.exists():
            self.log.rename(self.log.with_suffix(".old"))

    @property
    def log(self) -> Path:
        return self.pair.slave.paths.root / "standby.log"

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def standing(self) -> Standing:
        return read_standing(self.standby)

    def ask(self, sql: str) -> str:
        """Ask the standby."""
        return Postgresql(self.standby.folder / "socket").psql(sql).strip()

    def has(self, sql: str, answer: str) -> bool:
        with suppress(Exception):
            return self.ask(sql) == answer
        return False

    def close(self) -> None:
        self.stop_standby()
        self.stop_streaming()


def _end(process: command.Process) -> None:
    process.send_signal(signal.SIGINT)
    process.wait()


@contextmanager
def streamed(template: Path, more: str = "") -> Iterator[Streamed]:
    """Give both sides; nothing is streamed yet."""
    owner = pwd.getpwnam("postgres")
    with open_folder() as folder, postgresql(template, more) as master, two_hosts(folder) as pair:
        pair.pair()
        pair.master.set("hotsync", databases="streaming")
        spool = pair.slave.paths.replica / "tree/var/lib/hotsync/spool/postgresql/15-main"
        spool.mkdir(parents=True)
        (spool / "cluster.json").write_text("{}")
        place = pair.slave.paths.at("/var/lib/postgresql/15")
        place.mkdir(parents=True)
        os.chown(place, owner.pw_uid, owner.pw_gid)
        (folder / "slave").chmod(0o755)
        paths = pair.slave.paths
        standby = Standby(
            "15-main", "postgres", place / "main", paths.streams / "15-main",
            waiting_servers.folder_of(paths, "postgresql@15-main"),
        )  # fmt: skip
        world = Streamed(pair, master, standby)
        umask = os.umask(0o077)  # as the units have it
        try:
            yield world
        finally:
            os.umask(umask)
            world.close()
