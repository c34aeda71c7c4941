"""Throw-away servers of the engines that are loaded at rest: real ones, on sockets in a folder of their own."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from hotsync.sources.source import Dataset
from hotsync.system import command
from tests.contract.sources.servers import open_folder

SCHEMAS = Path("/etc/ldap/schema")
ROOT, PASSWORD = "cn=admin,dc=example,dc=org", "sécret word"


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def take_over(folder: Path, account: str) -> None:
    """Make a folder an account's own."""
    owner = pwd.getpwnam(account)
    os.chown(folder, owner.pw_uid, owner.pw_gid)


def _until(ready: Callable[[], object], process: command.Process) -> None:
    """Wait until a server answers; it may take its time, but not die."""
    while True:
        try:
            ready()
        except OSError:
            assert process.poll() is None, "the server ended"
        else:
            return


@dataclass
class Server:
    """A server in a folder, running or not."""

    folder: Path
    process: command.Process | None = None

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait()
        self.process = None

    def kill(self) -> None:
        assert self.process is not None
        command.kill_group(self.process)
        self.process.wait()
        self.process = None


@dataclass
class Slapd(Server):
    """An OpenLDAP server with two databases."""

    config: Path = field(default_factory=Path)

    def dataset(self) -> Dataset:
        return Dataset("openldap", "slapd", config=str(self.config))

    @property
    def url(self) -> str:
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    @property
    def _option(self) -> str:
        return "-F" if self.config.is_dir() else "-f"

    def start(self) -> None:
        argv = ["/usr/sbin/slapd", self._option, str(self.config), "-h", self.url, "-u", "openldap", "-g", "openldap",
                "-d", "0"]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = command.Process(
                argv, stdin=command.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

        def connect() -> None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.folder / "ldapi"))

        _until(connect, self.process)

    def slapcat(self, number: int) -> str:
        argv = ["slapcat", self._option, str(self.config), "-n", str(number), "-g", "-o", "ldif-wrap=no"]
        user = "openldap" if self.config.is_dir() or number else None
        return command.run(argv, user=user, cwd="/").text

    def ldap(self, program: str, *words: str, input: str = "") -> str:
        """Ask as the directory's administrator."""
        argv = [program, "-x", "-H", self.url, "-D", ROOT, "-y", str(self.folder / "password"), *words]
        return command.run(argv, input=input.encode()).text

    def search(self, base: str = "dc=example,dc=org") -> str:
        return self.ldap("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base, "*", "+")


def _databases(folder: Path) -> str:
    (folder / "password").write_text(PASSWORD)
    hashed = command.run(["slappasswd", "-T", str(folder / "password")]).text.strip()
    return f"""
dn: olcDatabase={{0}}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{0}}config

dn: olcDatabase={{1}}monitor,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{1}}monitor

dn: olcDatabase={{2}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{2}}mdb
olcSuffix: dc=example,dc=org
olcDbDirectory: {folder}/main
olcDbMaxSize: 104857600
olcRootDN: {ROOT}
olcRootPW: {hashed}
olcDbIndex: objectClass,uid eq

dn: olcDatabase={{3}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{3}}mdb
olcSuffix: dc=second
olcDbDirectory: "{folder}/two words"
olcRootDN: {ROOT}
"""


def _config(folder: Path) -> str:
    schemas = "".join(
        f"include: file://{SCHEMAS}/{name}.ldif\n\n" for name in ("core", "cosine", "nis", "inetorgperson")
    )
    return f"""dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {folder}/slapd.pid

dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: back_monitor

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

{schemas}{_databases(folder)}"""


def people(first: int, count: int) -> str:
    """Entries with what a directory has: long lines, names that are no ASCII, binary values."""
    photo = base64.b64encode(bytes(range(256)) * 3).decode()
    return "".join(
        f"dn: uid=p{number},ou=People,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: p{number}\n"
        f"cn:: {base64.b64encode(f'Zoë {number}'.encode()).decode()}\nsn: dn: not the beginning of an entry\n"
        f"description: {'long ' * 60}{number}\njpegPhoto:: {photo}\n\n"
        for number in range(first, first + count)
    )


TOP = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=People,dc=example,dc=org
objectClass: organizationalUnit
ou: People

"""
SECOND = "dn: dc=second\nobjectClass: dcObject\nobjectClass: organization\ndc: second\no: Other\n\n"


@contextmanager
def slapd(number_of_people: int = 50) -> Iterator[Slapd]:
    """Start a directory server of our own with some people in it."""
    with open_folder() as folder:
        for name in ("", "main", "two words", "slapd.d"):
            (folder / name).mkdir(exist_ok=True)
            take_over(folder / name, "openldap")
        config = folder / "slapd.d"
        argv = ["slapadd", "-F", str(config), "-n", "0"]
        command.run(argv, input=_config(folder).encode(), user="openldap", cwd="/")
        server = Slapd(folder, config=config)
        server.start()
        try:
            server.ldap("ldapadd", input=TOP + people(0, number_of_people))
            server.ldap("ldapadd", input=SECOND)
            yield server
        finally:
            if server.process is not None:
                server.stop()


@dataclass
class RedisServer(Server):
    """A Redis server."""

    password: str = ""

    @property
    def socket(self) -> str:
        return str(self.folder / "s.sock")

    @property
    def config(self) -> Path:
        return self.folder / "redis.conf"

    def dataset(self, instance: str = "redis-server") -> Dataset:
        return Dataset("redis", instance, config=str(self.config))

    def start(self) -> None:
        owner = pwd.getpwnam("redis")
        with (self.folder / "log").open("ab") as log:
            self.process = command.Process(
                ["redis-server", str(self.config)], stdin=command.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, user="redis", group=owner.pw_gid, extra_groups=[], cwd="/",
            )  # fmt: skip

        def ping() -> None:
            if "PONG" not in self.cli("PING"):
                raise ConnectionError

        _until(ping, self.process)

    def cli(self, *words: str, input: str = "") -> str:
        environment = {"REDISCLI_AUTH": self.password} if self.password else {}
        argv = ["redis-cli", "-s", self.socket, *words]
        return command.run(argv, input=input.encode(), env=environment, ok=range(256)).text.strip()

    def everything(self) -> str:
        """All that is in its first database, sorted by key: each with a hash of its value."""
        script = """local keys = redis.call('KEYS', '*') table.sort(keys)
            for i, key in ipairs(keys) do
                if redis.call('TYPE', key).ok == 'set' then
                    local members = redis.call('SMEMBERS', key) table.sort(members)
                    keys[i] = key .. ' ' .. table.concat(members, ' ')
                else
                    keys[i] = key .. ' ' .. redis.sha1hex(redis.call('DUMP', key))
                end
            end
            return keys"""
        return self.cli("EVAL", script, "0")


@contextmanager
def redis(*lines: str, password: str = "") -> Iterator[RedisServer]:
    """Start a Redis server of our own; `lines` are added to its configuration."""
    with open_folder() as folder:
        take_over(folder, "redis")
        (folder / "data").mkdir(mode=0o750)
        take_over(folder / "data", "redis")
        escaped = password.replace('"', '\\"')
        own = [f'requirepass "{escaped}"'] if password else []
        text = "\n".join((f"unixsocket {folder}/s.sock", "port 0", f"dir {folder}/data", *own, *lines, ""))
        (folder / "redis.conf").write_text(text)
        server = RedisServer(folder, password=password)
        server.start()
        try:
            yield server
        finally:
            if server.process is not None:
                server.stop()


def in_a_child(work: Callable[[], object], calls: list[tuple[object, str]], number: int) -> bool:
    """Do some work in a process that dies, as by a power cut, right before the `number`-th of these calls.

    Return whether it died (False: there were fewer calls, and the work was done).
    """
    child = os.fork()
    if child == 0:  # no cleaning up here, whatever happens
        try:
            count = [0]
            for owner, name in calls:
                setattr(owner, name, _dying(getattr(owner, name), count, number))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 77), status
    return status == 77


def _dying(original: Callable[..., object], count: list[int], number: int) -> Callable[..., object]:
    def call(*args: object, **named: object) -> object:
        count[0] += 1
        if count[0] == number:
            os._exit(77)
        return original(*args, **named)

    return call


def copy_of(folder: Path, to: Path) -> Path:
    """Keep a copy of a folder as it is now."""
    shutil.rmtree(to, ignore_errors=True)
    command.run(["cp", "--archive", str(folder), str(to)])
    return to
