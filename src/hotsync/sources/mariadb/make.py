"""Makes the data directory of a MariaDB server that the MASTER has beside the usual one, where this SLAVE has none."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import server_settings
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb.client import program
from hotsync.sources.mariadb.find import NAME
from hotsync.system.command import run


def make_server(document: MariadbInstance, instance: str) -> None:
    """Given a collected server, make an empty data directory where it had its own, unless something is there.

    Its files get the form that they had on the MASTER, so that a server with the MASTER's settings opens them.
    The server is not started: that is the unit's work. Raise RestoreFailed.
    """
    directory = Path(document.directory)
    if not document.directory or (directory / "mysql").is_dir():
        return
    if not document.directory.startswith("/") or ".." in directory.parts:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"{document.directory!r} is no data directory")
    if directory.is_dir() and os.listdir(directory) not in ([], ["lost+found"]):
        reason = f"{directory} holds something that is no MariaDB server's"
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=reason, hint=f"Look what it is; empty {directory}.")
    server_settings.mariadb_arguments(document.settings, f"{NAME}/{instance}")  # before a folder is made
    try:
        user = pwd.getpwnam(document.user or "mysql").pw_name
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, KeyError) as error:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"no server can be made: {error}") from error
    fill_directory(document, instance, directory, user)


def fill_directory(document: MariadbInstance, instance: str, directory: Path, user: str) -> None:
    """Given an empty folder and whose it is to be, make a server's data directory of it; raise RestoreFailed."""
    # mariadb-install-db gives what it does not know to the server
    settings = server_settings.mariadb_arguments(document.settings, f"{NAME}/{instance}")
    argv = [
        program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--user={user}",
        f"--datadir={directory}", "--skip-test-db", "--auth-root-authentication-method=socket", *settings,
    ]  # fmt: skip
    try:
        run(argv, timeout=600, cwd="/")
    except CommandFailed as error:
        raise RestoreFailed(dataset=f"{NAME}/{instance}", reason=f"no server can be made: {error}") from error
