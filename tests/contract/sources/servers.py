"""Throw-away database servers: real ones, on unix sockets in a folder of their own, gone when the test is."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.sources.source import Dataset
from hotsync.system import command

PG_BIN = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter (pytest's own are root's alone)."""
    path = Path(tempfile.mkdtemp(prefix="hotsync-servers-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass
class Mariadb:
    """A running MariaDB server."""

    folder: Path
    process: command.Process

    @property
    def socket(self) -> str:
        return str(self.folder / "s.sock")

    def dataset(self, instance: str = "default") -> Dataset:
        return Dataset("mariadb", instance, socket=self.socket)

    def sql(self, text: str) -> str:
        return command.run(
            ["mariadb", "--protocol=socket", f"--socket={self.socket}", "--batch", "--raw", "--skip-column-names",
             "--comments", "--default-character-set=utf8mb4"],
            input=text.encode(),
        ).text  # fmt: skip

    def databases(self) -> list[str]:
        own = ("information_schema", "performance_schema", "sys", "mysql")
        raw = self.sql("SELECT HEX(schema_name) FROM information_schema.schemata").split()
        return sorted(name for name in (bytes.fromhex(each).decode() for each in raw) if name not in own)

    def empty(self) -> None:
        drops = (f"DROP DATABASE `{name.replace('`', '``')}`;" for name in self.databases())
        self.sql("SET FOREIGN_KEY_CHECKS=0;" + "".join(drops))

    def dump(self) -> bytes:
        """Everything that is the users', as the tool itself writes it."""
        names = self.databases()
        if not names:
            return b""
        return command.run(
            ["mariadb-dump", f"--socket={self.socket}", "--skip-dump-date", "--routines", "--events", "--triggers",
             "--hex-blob", "--order-by-primary", "--dump-history", "--databases", "--", *names]
        ).stdout  # fmt: skip

    def kill(self) -> None:
        command.kill_group(self.process)
        self.process.wait()


def prepare_mariadb(folder: Path, *options: str) -> Path:
    """Make an empty data directory, to be copied for each server."""
    command.run(
        ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={folder}", "--skip-test-db",
         "--auth-root-authentication-method=socket", *options]
    )  # fmt: skip
    return folder


@contextmanager
def mariadb(template: Path, *options: str) -> Iterator[Mariadb]:
    """Start a server on a copy of `template`; it says itself when it is ready."""
    with open_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        shutil.copytree(template, folder / "data", symlinks=True)
        ready.bind(str(folder / "ready"))
        ready.settimeout(60)
        argv = [
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/data", f"--socket={folder}/s.sock",
            # its own: a server that starts removes the temporary tables of others from a shared one
            f"--tmpdir={folder}", "--skip-networking", "--innodb-buffer-pool-size=16M", "--innodb-use-native-aio=0",
            "--innodb-flush-log-at-trx-commit=0", *options,
        ]  # fmt: skip
        with (folder / "log").open("wb") as log:
            environment = {"NOTIFY_SOCKET": str(folder / "ready")}
            with command.spawn(argv, stdout=log, stderr=log, env=environment) as process:
                while b"READY=1" not in ready.recv(4096):
                    assert process.poll() is None, (folder / "log").read_text()
                yield Mariadb(folder, process)


@dataclass
class Postgresql:
    """A running PostgreSQL cluster."""

    folder: Path

    def dataset(self, instance: str = "15-main") -> Dataset:
        return Dataset("postgresql", instance, socket=str(self.folder), port=5432, user="postgres", version="15")

    def psql(self, text: str, database: str = "postgres") -> str:
        return _as_postgres(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", f"--host={self.folder}", "-d", f"dbname='{database}'", input=text
        )

    def dump(self, database: str, *options: str) -> str:
        """A database as text, with all that belongs to it (pg_dump's text cannot create a name with a line end)."""
        create = [] if "\n" in database else ["--create"]
        shown = self.psql("SHOW server_encoding", database).strip()
        encoding = ["--encoding=SQL_ASCII"] if shown == "SQL_ASCII" else []
        return _as_postgres(
            "pg_dump",
            *create,
            "--restrict-key=x",
            *encoding,
            *options,
            f"--host={self.folder}",
            "-d",
            f"dbname='{database}'",
        )

    def globals(self) -> str:
        return _as_postgres("pg_dumpall", "--globals-only", "--restrict-key=x", f"--host={self.folder}")

    def stop(self) -> None:
        _as_postgres("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


def _as_postgres(program: str, *words: str, input: str = "") -> str:
    environment = {"HOME": "/nonexistent", "PGCLIENTENCODING": "UTF8"}
    argv = [str(PG_BIN / program), *words]
    return command.run(argv, input=input.encode(), user="postgres", env=environment, cwd="/").text


def prepare_postgresql(folder: Path, *options: str) -> Path:
    """Make an empty cluster, to be copied for each server."""
    owner = pwd.getpwnam("postgres")
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    _as_postgres(
        "initdb", "-D", str(folder), "-A", "peer", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *options
    )
    return folder


@contextmanager
def postgresql(template: Path, more: str = "") -> Iterator[Postgresql]:
    """Start a cluster on a copy of `template`."""
    with open_folder() as folder:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        command.run(["cp", "--archive", str(template), str(folder / "data")])
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off {more}"
        # its descriptors would keep our pipes open: its output goes to a file
        _as_postgres("pg_ctl", "-D", f"{folder}/data", "-o", options, "-w", "-l", f"{folder}/log", "start")
        server = Postgresql(folder)
        try:
            yield server
        finally:
            with suppress(Exception):
                server.stop()
