"""Finds the PostgreSQL clusters of a host, speaks to them, and makes one where the SLAVE has none.

Everything runs as the system user that owns the cluster (peer login): root has no role in a cluster, and needs none.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import server_settings
from hotsync.sources.documents import PostgresqlCluster
from hotsync.sources.source import Dataset
from hotsync.system.command import ENVIRONMENT, LARGE_OUTPUT, run

NAME: str = "postgresql"
_SOCKETS = "/var/run/postgresql"
_MOVED = "PG_CLUSTER_CONF_ROOT"
LONGEST = 24 * 3600.0
"""For what takes its time: dropping a large database, counting its rows."""
QUESTION_SECONDS = 120.0
"""A server that does not answer a plain question for so long hangs."""
CONNECT_SECONDS = 30
_ERROR = re.compile(r"\b(?:error|ERROR|FATAL|PANIC):")
_OF_OURS = (
    ((0, 0), "statement_timeout=0"),
    ((0, 0), "default_transaction_read_only=off"),
    ((0, 0), "synchronous_commit=off"),
    ((9, 3), "lock_timeout=0"),
    ((9, 6), "idle_in_transaction_session_timeout=0"),
    ((14, 0), "idle_session_timeout=0"),
    ((17, 0), "transaction_timeout=0"),
)
"""What a session of ours has, and since which version it can be said: a server or a database may have been given limits
that are meant for its applications (ALTER DATABASE ... SET), or a standby that commits wait for and that is not there
on the day. What we load is brought to disk as a whole, before anybody is told that it is there (load.py)."""
_BINARIES = ("/usr/lib/postgresql/{version}/bin", "/usr/pgsql-{version}/bin")


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a cluster: as which system user, by which socket, with which tools (`programs`: their folder)."""

    user: str
    socket: str
    port: int
    version: str
    programs: str = ""

    def tool(self, name: str) -> str:
        """Return a program of the cluster's own version."""
        for folder in (*([self.programs] if self.programs else []), *binaries_of(self.version)):
            program = Path(folder) / name
            if program.exists():
                return str(program)
        return shutil.which(name, path=ENVIRONMENT["PATH"]) or name

    @property
    def environment(self) -> dict[str, str]:
        """Return what the tools need to know: the user's home, that only that user's server is spoken to, and that one
        that lets nobody in for a while hangs."""
        home = pwd.getpwnam(self.user).pw_dir
        return {"HOME": home, "PGREQUIREPEER": self.user, "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS)}

    @property
    def session(self) -> dict[str, str]:
        """Return what tools need to know that ask or load: the above, and that no limit meant for applications ends
        them. It is not for a session of replication, which lets nobody set anything (guard.py)."""
        major, _, minor = self.version.partition(".")
        ours = (int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0)
        options = " ".join(f"-c {setting}" for since, setting in _OF_OURS if since <= ours)
        return {**self.environment, "PGOPTIONS": options}

    def connection(self, database: str | None = None) -> list[str]:
        """Return the arguments that name the server and, quoted against all surprises, the database."""
        arguments = ["--no-password", f"--host={self.socket}", f"--port={self.port}"]
        return arguments if database is None else [*arguments, f"--dbname={quoted_name(database)}"]


def binaries_of(version: str) -> tuple[str, ...]:
    """Given a major version, return the folders in which packages put its programs beside those of others."""
    return tuple(folder.format(version=version) for folder in _BINARIES)


def extensions_here(version: str) -> frozenset[str]:
    """Given a major version, return the extensions that are installed here for its server."""
    folders = (f"/usr/share/postgresql/{version}/extension", f"/usr/pgsql-{version}/share/extension")
    return frozenset(file.stem for folder in folders for file in Path(folder).glob("*.control"))


def this_platform() -> str:
    """Return processor and C library of this host ("x86_64 glibc 2.36"), "" if the library does not tell."""
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return ""
    return f"{os.uname().machine} {library}" if library else ""


def has_server(version: str) -> bool:
    """Return whether the server of a major version is installed."""
    return any((Path(folder) / "postgres").exists() for folder in binaries_of(version))


def login_of(dataset: Dataset) -> Login:
    """Given a cluster, return how to reach it."""
    return Login(dataset.user, dataset.socket, dataset.port, dataset.version, dataset.programs)


def quoted_name(database: str) -> str:
    """Given a database's name, return it as a connection string, so that `a=b` or a URI is only a name."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def literal(text: str) -> str:
    """Return text as an SQL string whatever standard_conforming_strings says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def parse_cluster(line: str, socket: str) -> Dataset:
    """Given what `pg_lsclusters --no-header --start-conf` prints of a cluster, return it; raise ValueError.

    The columns are version, name, port, state, owner; a cluster that is down and not to be started was parked.
    """
    words = line.split()
    if len(words) < 5 or not words[2].isdigit():
        raise ValueError(f"pg_lsclusters prints something else: {line[:200]!r}")
    version, name, port, state, owner = words[:5]
    states = state.split(",")
    down, wanted = "online" not in states, "auto" in states
    return Dataset(
        NAME,
        f"{version}-{name}",
        socket=socket,
        port=int(port),
        user=owner,
        version=version,
        unit=f"postgresql@{version}-{name}.service",
        fault=f"cluster {version}/{name} does not run" if down and wanted else "",
        parked=down and not wanted,
        directories=tuple(words[5:6]),
    )


def with_tablespaces(dataset: Dataset) -> Dataset:
    """Given a cluster, add where its links lead: tablespaces, and a write-ahead log on a disk of its own."""
    found = list(dataset.directories)
    for directory in dataset.directories:
        for link in (Path(directory, "pg_wal"), *sorted(Path(directory, "pg_tblspc").glob("*"))):
            if link.is_symlink():
                found.append(os.path.realpath(link))
    return replace(dataset, directories=tuple(found))


def inspect_clusters() -> tuple[Dataset, ...]:
    """Return the clusters of this host; one that cannot be looked at has that as its fault."""
    found: list[Dataset] = []
    for configuration in sorted(_conf_root().glob("*/*/postgresql.conf")):
        name, version = configuration.parent.name, configuration.parent.parent.name
        if not re.fullmatch(r"\d+(\.\d+)?", version):
            continue
        try:
            found.append(
                with_tablespaces(
                    parse_cluster(
                        _ask_common("pg_lsclusters", "--no-header", "--start-conf", version, name),
                        (setting(version, name, "unix_socket_directories") or "").split(",")[0].strip() or _SOCKETS,
                    )
                )
            )
        except (CommandFailed, ValueError) as error:
            found.append(Dataset(NAME, f"{version}-{name}", version=version, fault=detail(error)))
    return tuple(found)


def setting(version: str, name: str, key: str) -> str | None:
    """Return a setting of a cluster's configuration, None if it is not set there."""
    try:
        return _ask_common("pg_conftool", "--short", version, name, "show", key)
    except CommandFailed:
        return None


def _ask_common(*argv: str) -> str:
    """Return what a program of postgresql-common prints; its own variable moves the configuration (tests)."""
    moved = os.environ.get(_MOVED)
    return run(argv, env={_MOVED: moved} if moved else {}).text.strip()


def detail(error: Exception) -> str:
    """Given what went wrong, return it in one line for people: of what a tool said, the first line that is an error."""
    if not isinstance(error, CommandFailed):
        return str(error)
    otherwise = str(error.facts["detail"])
    if error.returncode is None:
        otherwise = f"{error.facts['status']}: {otherwise}"
    said = next((line for line in error.stderr.splitlines() if _ERROR.search(line)), otherwise)
    program = Path(str(error.facts["program"])).name
    return said[:500] if program == "setpriv" else f"{program}: {said[:500].removeprefix(f'{program}: ')}"


def ask(login: Login, sql: str, database: str = "", timeout: float = QUESTION_SECONDS) -> str:
    """Given SQL, return what psql prints for it, unaligned; raise CommandFailed at the first error."""
    argv = [login.tool("psql"), "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1"]
    for maintenance in (database,) if database else ("postgres", "template1"):
        try:
            completed = run(
                [*argv, *login.connection(maintenance)],
                input=sql.encode("utf-8", "surrogateescape"),
                user=login.user,
                env={**login.session, "PGCLIENTENCODING": "UTF8"},
                cwd="/",
                timeout=timeout,
                limit=LARGE_OUTPUT,
            )
        except CommandFailed as error:
            # either may be gone for a moment: a load that died made neither of them anew
            if maintenance == "postgres" and not database and "does not exist" in error.stderr:
                continue
            raise
        return completed.text.removesuffix("\n")
    raise AssertionError("unreachable")


def ask_json(login: Login, sql: str, database: str = "", timeout: float = QUESTION_SECONDS) -> object:
    """Given a query of one JSON value, return it; raise CommandFailed, or ValueError if it is no JSON."""
    answer = ask(login, sql, database, timeout)
    return json.loads(answer) if answer else None


def server_version(login: Login) -> int:
    """Return the server's version number (150018); raise CommandFailed."""
    return int(ask(login, "SHOW server_version_num"))


def make_cluster(document: PostgresqlCluster, instance: str) -> None:
    """Given a collected cluster, make an empty one of that name here unless there is one; raise RestoreFailed.

    Where the MASTER's configuration already lies in /etc (after the exchange), only the data directory is made. The
    cluster is not started: that is the unit's work.
    """
    version, _, name = instance.partition("-")
    if not re.fullmatch(r"\d+(\.\d+)?", version) or not re.fullmatch(r"[^/\0]+", name):
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"{instance!r} names no cluster")
    if data_of(version, name) is not None:
        return
    options = _options(document, instance)
    try:
        if configuration(version, name).is_dir():
            _init_data(version, name, options)
        else:
            _ask_common("pg_createcluster", version, name, "--", *options)
    except (CommandFailed, OSError) as error:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"no cluster can be made: {error}") from error


def fill_directory(document: PostgresqlCluster, instance: str, directory: Path, user: str, programs: str = "") -> None:
    """Given an empty folder of a user's, make a cluster's data directory of it; raise RestoreFailed."""
    try:
        _init_db(directory, user, instance.partition("-")[0], _options(document, instance), programs)
    except CommandFailed as error:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"no cluster can be made: {error}") from error


def _options(document: PostgresqlCluster, instance: str) -> list[str]:
    """Return the options of initdb that make a cluster like the collected one; raise RestoreFailed."""
    template = next((database for database in document.databases if database.name == "template1"), None)
    options = ["--auth-local=peer", "--auth-host=scram-sha-256"]
    if template is not None:
        options += [f"--encoding={template.encoding}", f"--lc-collate={template.collate}"]
        options += [f"--lc-ctype={template.ctype}"]
    return options + server_settings.postgresql_arguments(document.settings, f"{NAME}/{instance}")


def _init_data(version: str, name: str, options: Sequence[str]) -> None:
    """Make the data directory that an existing configuration speaks of."""
    data = Path(setting(version, name, "data_directory") or "")
    owner = pwd.getpwuid(configuration(version, name).stat().st_uid)
    if owner.pw_uid == 0:
        owner = pwd.getpwnam("postgres")
    for folder, mode in ((data.parent, 0o755), (data, 0o700)):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(mode)
            os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    _init_db(data, owner.pw_name, version, options)


def _init_db(data: Path, user: str, version: str, options: Sequence[str], programs: str = "") -> None:
    login = Login(user, "", 0, version, programs)
    argv = [login.tool("initdb"), f"--pgdata={data}", *options]
    run(argv, user=user, env=login.environment, cwd="/", timeout=600)


def data_of(version: str, name: str) -> Path | None:
    """Return the data directory of a cluster, None if there is none or nothing in it."""
    data = setting(version, name, "data_directory")
    return Path(data) if data and (Path(data) / "PG_VERSION").exists() else None


def configuration(version: str, name: str) -> Path:
    """Return the folder of a cluster's configuration."""
    return _conf_root() / version / name


def _conf_root() -> Path:
    return Path(os.environ.get(_MOVED, "/etc/postgresql"))
