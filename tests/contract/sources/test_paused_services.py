"""Databases that run as services of this host are copied while these stand still for a moment; the copies are sound."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hotsync.engine.sync.select import paused_units
from hotsync.profiles.catalog import shipped
from hotsync.sources.frozen.frozen import Cover, Frozen, copy_frozen
from hotsync.sources.frozen.services import PausedUnit, read_servers
from hotsync.sources.frozen.store import load_copies
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.source import Context
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.sources import killed_runs, servers
from tests.contract.sources.services import Service, free_port, own_folder, service, wait_for_port, without_containers

# each starts servers twice, which wait for the disk
pytestmark = pytest.mark.timeout(900)

CLOCK = SystemClock()
PROC = Path("/proc")


@pytest.fixture
def paths() -> Iterator[Paths]:
    """A MASTER's root, of which /var/lib is carried."""
    with servers.open_folder() as folder:
        for path in ("var/lib/hotsync", "copies"):
            (folder / path).mkdir(parents=True)
        yield Paths(folder)


def copied(
    paths: Paths, units: tuple[PausedUnit, ...] = (), *, seconds: float = 600.0, elsewhere: tuple[str, ...] = ()
) -> Frozen:
    with without_containers() as proc:
        return copy_frozen(
            paths, CLOCK, lambda path: path.startswith("var/lib/"),
            seconds=seconds, elsewhere=elsewhere, units=units, proc=proc,
        )  # fmt: skip


def of(frozen: Frozen, name: str) -> tuple[float, float]:
    """Return when a server's copy was taken, and since when it is stale."""
    (found,) = ((point.taken_at, point.stale_since) for point in frozen.points if point.name == name)
    return found


def promoted(paths: Paths, cover: Cover, name: str) -> Path:
    """Return the copy as a promotion would put it in place."""
    place = paths.root / "copies" / name
    shutil.copytree(cover.copy, place, symlinks=True)
    for path in (place, *place.rglob("*")):
        like = (cover.copy / path.relative_to(place)).lstat()
        shutil.chown(path, like.st_uid, like.st_gid)
    return place


@dataclass
class Writer:
    """Writes one after the other; `acknowledged` is how many the server has confirmed."""

    write: Callable[[int], None]
    acknowledged: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    trouble: list[BaseException] = field(default_factory=list[BaseException])

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.write(self.acknowledged)
                self.acknowledged += 1
        except BaseException as error:
            self.trouble.append(error)

    def wait_for(self, count: int) -> None:
        while self.acknowledged < count:
            assert self.trouble == []
            CLOCK.sleep(0.05)


@contextmanager
def writing(write: Callable[[int], None]) -> Iterator[Writer]:
    writer = Writer(write)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        writer.wait_for(50)
        yield writer
    finally:
        writer.over.set()
        thread.join()
    assert writer.trouble == []


def copied_under_load(
    paths: Paths, writer: Writer, name: str, units: tuple[PausedUnit, ...] = ()
) -> tuple[int, Frozen]:
    """Copy while a server works, which it goes on doing; return how much it had acknowledged before, and the copies."""
    before = writer.acknowledged
    frozen = copied(paths, units)
    writer.wait_for(writer.acknowledged + 20)
    assert [error for error in frozen.failed if name in error.sentence] == []
    assert of(frozen, name)[1] == 0.0
    return before, frozen


# --- InfluxDB, found by its process -----------------------------------------------------------------------------------

INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
"""


class Influx:
    def __init__(self, folder: Path, run: Service) -> None:
        self.port = free_port()
        config = folder.with_name(f"{folder.name}.conf")
        config.write_text(INFLUX.format(folder=folder, port=self.port, rpc=free_port()))
        run.start(["influxd", "-config", str(config)], folder)
        wait_for_port(self.port, folder)

    def ask(self, question: str) -> list[list[int]]:
        url = f"http://127.0.0.1:{self.port}/query"
        with urllib.request.urlopen(url, urlencode({"db": "house", "q": question}).encode(), timeout=600) as answer:
            (result,) = json.load(answer)["results"]
        return result["series"][0]["values"] if "series" in result else []

    def write(self, number: int) -> None:
        line = f"meter value={number}i {number + 1}".encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/write?db=house", line, timeout=600) as answer:
            assert answer.status == 204


def test_influxdb_under_load_is_carried_as_of_one_moment_with_all_that_it_had_acknowledged(paths: Paths) -> None:
    name = "influxd of influxdb.service"
    folder = own_folder(paths.root / "var/lib/influxdb", "influxdb")
    with service("influxdb.service", "influxdb") as run:
        server = Influx(folder, run)
        server.ask("CREATE DATABASE house")
        with writing(server.write) as writer:
            for count in range(2):
                before, frozen = copied_under_load(paths, writer, name)
                assert [cover.path for cover in frozen.covers] == ["var/lib/influxdb"]
                place = promoted(paths, frozen.covers[0], f"influx-{count}")
                with service("influxdb.service", "influxdb") as other:
                    ((_, written, highest),) = Influx(place, other).ask("SELECT count(value), max(value) FROM meter")
                assert written == highest + 1
                assert before <= written <= writer.acknowledged + 1
        assert not run.is_still()
        late = copied(paths, seconds=0.0001)
        assert of(late, name)[1] > 0.0
        assert [error.exit_code for error in late.failed if name in error.sentence] == [7]
        assert late.covers == frozen.covers
        assert not run.is_still()
    # stopped, it is copied as its files lie
    frozen = copied(paths)
    assert of(frozen, name)[1] == 0.0
    for path in (folder / "wal").rglob("*.wal"):
        assert (frozen.covers[0].copy / path.relative_to(folder)).read_bytes() == path.read_bytes()


# --- RabbitMQ, named by its profile -----------------------------------------------------------------------------------

UNITS = paused_units([shipped()["rabbitmq"]])


class Stomp:
    """A client of RabbitMQ: what it sends to a queue is on the disk when that is acknowledged."""

    def __init__(self, port: int) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.heard = b""
        self.say("CONNECT", "", login="guest", passcode="guest", host="/")
        assert self.hear()[0] == "CONNECTED"

    def close(self) -> None:
        self.line.close()

    def say(self, word: str, body: str, **headers: str) -> None:
        lines = "".join(f"{name.replace('_', '-')}:{value}\n" for name, value in headers.items())
        self.line.sendall(f"{word}\n{lines}\n{body}\0".encode())

    def hear(self) -> tuple[str, str]:
        """Return the first word of what comes, and its body."""
        while b"\0" not in self.heard:
            chunk = self.line.recv(65536)
            assert chunk, "the server hung up"
            self.heard += chunk
        frame, _, self.heard = self.heard.partition(b"\0")
        head, _, body = frame.decode().lstrip("\n").partition("\n\n")
        return head.split("\n")[0], body

    def send(self, number: int) -> None:
        self.say("SEND", str(number), destination="/queue/jobs", persistent="true", receipt=str(number))
        assert self.hear()[0] == "RECEIPT"

    def all_jobs(self) -> list[str]:
        """Take all that waits."""
        self.send(-1)
        self.say("SUBSCRIBE", "", destination="/queue/jobs", id="0", ack="auto")
        found: list[str] = []
        while (frame := self.hear())[1] != "-1":
            assert frame[0] == "MESSAGE"
            found.append(frame[1])
        return found


def rabbit(folder: Path, run: Service) -> int:
    """Start RabbitMQ on a folder; return the port of its STOMP."""
    port, beside = free_port(), own_folder(folder.with_name(f"{folder.name}.run"), "rabbitmq")
    (beside / "rabbitmq.conf").write_text(f"stomp.listeners.tcp.1 = 127.0.0.1:{port}\n")
    (beside / "enabled_plugins").write_text("[rabbitmq_stomp].\n")
    run.start(
        ["/usr/lib/rabbitmq/bin/rabbitmq-server"], beside,
        {
            "HOME": str(beside), "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_LOG_BASE": str(beside), "RABBITMQ_CONFIG_FILE": str(beside / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(beside / "enabled_plugins"), "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_NODE_PORT": str(free_port()), "RABBITMQ_DIST_PORT": str(free_port()),
        },
    )  # fmt: skip
    wait_for_port(port, beside)
    return port


def test_rabbitmq_under_load_is_carried_as_of_one_moment_with_all_that_it_had_acknowledged(paths: Paths) -> None:
    name = "rabbitmq of rabbitmq-server.service"
    own_folder(paths.root / "var/lib/rabbitmq", "rabbitmq")
    folder = own_folder(paths.root / "var/lib/rabbitmq/mnesia", "rabbitmq")
    with service("rabbitmq-server.service", "rabbitmq") as run:
        with closing(Stomp(rabbit(folder, run))) as client, writing(client.send) as writer:
            # that the queue was made it writes down a moment after it said so: a power cut before that takes it, too
            while b"committed" not in (folder / "rabbit@localhost/LATEST.LOG").read_bytes()[-80:]:
                CLOCK.sleep(0.1)
            for count in range(2):
                before, frozen = copied_under_load(paths, writer, name, UNITS)
                assert [cover.path for cover in frozen.covers] == ["var/lib/rabbitmq/mnesia"]
                place = promoted(paths, frozen.covers[0], f"rabbit-{count}")
                with (
                    service("rabbitmq-server.service", "rabbitmq") as other,
                    closing(Stomp(rabbit(place, other))) as reader,
                ):
                    jobs = reader.all_jobs()
                assert jobs == [str(number) for number in range(len(jobs))]
                assert before <= len(jobs) <= writer.acknowledged + 1
        assert not run.is_still()
        # where no profile counts it is known by what its virtual machine runs
        (found,) = (server for server in read_servers(paths.root, (), PROC) if server.name == name)
        assert str(folder.parent) in found.folders


# --- which service is paused, and which never -------------------------------------------------------------------------

MONGOD = "mongod of mongod.service"


def mongod(paths: Paths, run: Service, folder: Path, environment: dict[str, str] | None = None) -> None:
    """Start a program of that name, which has a file open for writing in a folder."""
    program = paths.root / "mongod"
    if not program.exists():
        shutil.copy(shutil.which("sleep") or "", program)
    before = len(run.pids())
    run.start(["/bin/sh", "-c", f"exec {program} 1000 >>journal"], folder, environment)
    while sorted(Path(f"/proc/{pid}/comm").read_text() for pid in run.pids()) != ["mongod\n"] * (before + 1):
        CLOCK.sleep(0.05)


@pytest.fixture
def inner(paths: Paths) -> Path:
    """A folder in one that is a server's own."""
    own_folder(paths.root / "var/lib/mongodb", "daemon")
    return own_folder(paths.root / "var/lib/mongodb/inner", "daemon")


def test_all_of_the_outermost_folder_that_is_the_servers_own_is_copied(paths: Paths, inner: Path) -> None:
    (inner.parent / "data.wt").write_text("not open")
    with service("mongod.service", "daemon") as run:
        mongod(paths, run, inner)
        frozen = copied(paths)
        assert (of(frozen, MONGOD)[1], frozen.live) == (0.0, {})
        (cover,) = frozen.covers
        assert cover.path == "var/lib/mongodb"
        assert (cover.copy / "data.wt").read_text() == "not open"
        # a plugin dumps it: nothing of it is paused, copied or named
        frozen = copied(paths, elsewhere=("mongod",))
        assert (frozen.covers, frozen.points, frozen.failed, frozen.live) == ([], [], [], {})


def test_one_that_runs_as_root_is_paused_where_a_profile_says_what_is_its_own(paths: Paths, inner: Path) -> None:
    with service("mongod.service", "root") as run:
        mongod(paths, run, inner)
        frozen = copied(paths)
        assert (frozen.covers, frozen.points, list(frozen.live)) == ([], [], [MONGOD])
        assert "[[paused]]" in frozen.live[MONGOD]
        named = "books of mongod.service"
        frozen = copied(paths, (PausedUnit("books", "mongod.service", ("/var/lib/mongodb", "/opt/none")),))
        assert [cover.path for cover in frozen.covers] == ["var/lib/mongodb"]
        assert (of(frozen, named)[1], frozen.live) == (0.0, {})
        frozen = copied(paths, (PausedUnit("books", "mongod.service", ("/opt/none",)),))
        assert ("/opt/none is not there" in frozen.failed[0].sentence, frozen.failed[0].exit_code) == (True, 7)


def test_one_beside_other_users_programs_is_never_paused_and_keeps_its_last_copy_by_name(
    paths: Paths, inner: Path
) -> None:
    with service("mongod.service", "daemon") as run:
        mongod(paths, run, inner)
        good = copied(paths)
        assert of(good, MONGOD)[1] == 0.0
        with (inner / "journal").open("a") as journal:
            journal.write("more")
        run.user = "root"
        run.start(["/bin/sleep", "1000"], paths.root / "copies")
        while len(run.pids()) < 2:
            CLOCK.sleep(0.05)
        late = copied(paths)
        assert of(late, MONGOD)[1] > 0.0
        assert late.covers == good.covers
        assert ("several users" in late.failed[0].sentence, late.failed[0].exit_code) == (True, 7)
        assert (late.covers[0].copy / "inner/journal").read_text() == ""
        # without a copy it is named, and its files travel as they lie
        shutil.rmtree(paths.frozen)
        live = copied(paths)
        assert (live.covers, live.failed, list(live.live)) == ([], [], [MONGOD])
        assert "several users" in live.live[MONGOD]


def test_one_in_whose_folders_another_program_writes_is_not_taken_for_still(paths: Paths, inner: Path) -> None:
    with service("mongod.service", "daemon") as run, service("shop.service", "daemon") as other:
        mongod(paths, run, inner)
        beside = own_folder(inner.parent / "beside", "daemon")
        other.start(["/bin/sh", "-c", "exec /bin/sleep 1000 >>orders"], beside)
        while [Path(f"/proc/{pid}/comm").read_text() for pid in other.pids()] != ["sleep\n"]:
            CLOCK.sleep(0.05)
        frozen = copied(paths)
        assert (frozen.covers, frozen.failed, list(frozen.live)) == ([], [], [MONGOD])
        assert "sleep, which would not be paused with it" in frozen.live[MONGOD]
        other.end()
        assert of(copied(paths), MONGOD)[1] == 0.0


@pytest.mark.parametrize(
    ("view", "place", "is_alone"),
    [
        # what a container has at the same path is another file
        ('mount -t tmpfs none "$0"', "$0", True),
        # and these are the server's, at another path
        ('mount --bind "$0" /mnt', "/mnt", False),
        ('mount --bind "$0/.." /mnt && mount -t tmpfs none "$0"', "/mnt/beside", False),
    ],
)
def test_whose_file_another_program_writes_is_told_by_the_file_and_not_by_what_it_calls_it(
    paths: Paths, inner: Path, view: str, place: str, is_alone: bool
) -> None:
    with service("mongod.service", "daemon") as run, service("shop.service", "root") as other:
        mongod(paths, run, inner)
        beside = own_folder(inner.parent / "beside", "daemon")
        script = f'{view} && exec /bin/sleep 1000 >>"{place}/orders"'
        other.start(["unshare", "--mount", "/bin/sh", "-ec", script, str(beside)], paths.root / "copies")
        while [Path(f"/proc/{pid}/comm").read_text() for pid in other.pids()] != ["sleep\n"]:
            CLOCK.sleep(0.05)
        frozen = copied(paths)
        assert list(frozen.live) == ([] if is_alone else [MONGOD])
        assert [cover.path for cover in frozen.covers] == (["var/lib/mongodb"] if is_alone else [])


def test_a_pause_is_shorter_than_what_the_watchdog_of_its_unit_bears(paths: Paths, inner: Path) -> None:
    with service("mongod.service", "daemon") as run:
        mongod(paths, run, inner, {"WATCHDOG_USEC": "40000000"})
        (server,) = (server for server in read_servers(paths.root, (), PROC) if server.name == MONGOD)
        assert server.seconds == 10.0
        assert of(copied(paths), MONGOD)[1] == 0.0


def test_a_service_goes_on_when_the_run_is_killed_and_when_all_that_guards_it_is(paths: Paths, inner: Path) -> None:
    with service("mongod.service", "daemon") as run:
        mongod(paths, run, inner)
        for guards_too in (False, True):
            with killed_runs.holding(paths, run.group) as kill:
                assert run.is_still()
                kill(guards_too=guards_too)
            while not guards_too and run.is_still():
                CLOCK.sleep(0.05)
        assert run.is_still()  # the timer of systemd comes then, or the next run, whichever is first
        assert of(copied(paths), MONGOD)[1] == 0.0
        assert not run.is_still()


def test_a_copy_of_a_part_of_what_is_copied_now_is_forgotten(paths: Paths, inner: Path) -> None:
    with service("mongod.service", "daemon") as run:
        mongod(paths, run, inner)
        part = (PausedUnit("mongod", "mongod.service", ("/var/lib/mongodb/inner",)),)
        assert [cover.path for cover in copied(paths, part).covers] == ["var/lib/mongodb/inner"]
        assert [cover.path for cover in copied(paths).covers] == ["var/lib/mongodb"]
        assert [known.path for known in load_copies(paths.frozen)] == ["/var/lib/mongodb"]


# --- MySQL, which no stable release of Debian has ---------------------------------------------------------------------

INSIDE = 'mount --bind "$0/usr" /usr && exec "$@"'


@pytest.fixture(scope="module")
def unstable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the MySQL of Debian's unstable; a mirror may be older than its own word says."""
    tree = tmp_path_factory.mktemp("unstable") / "root"
    programs = "--include=mysql-server-core,mysql-client-core"
    old = '--aptopt=Acquire::Check-Valid-Until "false"'
    command.run(["mmdebstrap", old, "--variant=apt", programs, "unstable", str(tree)], timeout=900, unread=True)
    return tree


class Mysql:
    """A server on a folder, whose programs see the /usr of Debian's unstable in the place of this machine's."""

    def __init__(self, tree: Path, folder: Path, run: Service) -> None:
        self.inside = ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", INSIDE, str(tree)]
        self.beside = own_folder(folder.with_name(f"{folder.name}.run"), "mysql")
        server = [*self.inside, "mysqld", "--no-defaults", "--user=mysql", "--secure-file-priv=NULL"]
        server.append(f"--datadir={folder}")
        if not any(folder.iterdir()):
            command.run([*server, "--initialize-insecure"], timeout=600)
        ways = [f"--socket={self.beside}/s", f"--pid-file={self.beside}/pid", "--mysqlx=OFF"]
        port = free_port()
        run.start([*server, *ways, "--bind-address=127.0.0.1", f"--port={port}"], self.beside)
        wait_for_port(port, self.beside)

    def ask(self, sql: str) -> list[str]:
        words = ["mysql", "--no-defaults", "-N", "-B", "-u", "root", f"--socket={self.beside}/s", "-e", sql]
        return command.run([*self.inside, *words], timeout=600).text.split()


def said(lines: list[str]) -> None:
    assert lines == []


@pytest.mark.full
def test_mysql_under_load_is_carried_as_of_one_moment_with_all_that_it_had_acknowledged(
    paths: Paths, unstable: Path
) -> None:
    name = "mysql of mysql.service"
    folder = own_folder(paths.root / "var/lib/mysql", "mysql")
    with service("mysql.service", "root") as run:
        server = Mysql(unstable, folder, run)
        server.ask("CREATE DATABASE house; CREATE TABLE house.meter (n INT PRIMARY KEY); CREATE USER anna")
        assert not [each for each in mariadb.inspect(Context(paths)) if str(folder) in each.directories]
        with writing(lambda number: said(server.ask(f"INSERT INTO house.meter VALUES ({number})"))) as writer:
            for count in range(2):
                before, frozen = copied_under_load(paths, writer, name)
                assert [cover.path for cover in frozen.covers] == ["var/lib/mysql"]
                place = promoted(paths, frozen.covers[0], f"mysql-{count}")
                with service("mysql.service", "root") as other:
                    started = Mysql(unstable, place, other)
                    written, highest = map(int, started.ask("SELECT COUNT(*), MAX(n) FROM house.meter"))
                    assert started.ask("SELECT User FROM mysql.user WHERE User = 'anna'") == ["anna"]
                    assert started.ask("CHECK TABLE house.meter")[-1] == "OK"
                assert written == highest + 1
                assert before <= written <= writer.acknowledged + 1
        assert not run.is_still()
    # stopped, it is none of MariaDB's either, and is copied as its files lie
    assert copied(paths).failed == []
    assert not [each for each in mariadb.inspect(Context(paths)) if str(folder) in each.directories]
