"""Puts a collected ejabberd database where a server that does not run finds it: old or new, never half.

Mnesia has a way of its own for this: a file FALLBACK.BUP beside its tables is loaded at the next start in place of all
of them, as often as it takes. It is made, and loaded for a trial, in a folder apart, by a node of the same name that
nobody can reach; then it is put beside the tables by one rename, and from here on the new ones are in force. The tables
of the trial follow, and only when they are on disk the file goes: Mnesia never syncs what it makes of it at a start,
and a power cut soon after the first one would leave empty tables.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.at_rest import BESIDE, check_place, check_version, copy_collected
from hotsync.sources.ejabberd.documents import SERVER, EjabberdServer
from hotsync.sources.ejabberd.server import ACCOUNT, detail, installed_version, read_settings, runs
from hotsync.sources.source import Dataset
from hotsync.system import trees
from hotsync.system.command import run
from hotsync.system.files import sync_directory, sync_filesystem

_FALLBACK = "FALLBACK.BUP"
_SUFFIXES = frozenset((".DAT", ".DCD", ".DCL", ".DMP", ".LOG", ".RET", ".TMP"))
"""Of the files that Mnesia makes, its manual ("Mnesia files") and mnesia_lib.erl."""
_CONFIG = "/etc/ejabberd"
_DAY = 24 * 3600.0
_SCRIPT = """
Result = (catch begin
  ok = mnesia:install_fallback("backup", [{scope, local}]),
  ok = file:make_link("tables/FALLBACK.BUP", "made"),
  ok = mnesia:start(),
  Tables = mnesia:system_info(local_tables),
  ok = mnesia:wait_for_tables(Tables, infinity),
  [io:format("~s ~b~n", [mnesia:table_info(T, record_name), mnesia:table_info(T, size)]) || T <- Tables],
  stopped = mnesia:stop(),
  done
end),
case Result of done -> halt(0); _ -> io:format(standard_error, "~0p~n", [Result]), halt(1) end.
"""
_NODE_HINT = (
    "The server must have the name that its database knows: set ERLANG_NODE in ejabberdctl.cfg, or change the name in "
    "the backup with `ejabberdctl mnesia_change_nodename`."
)


def restore(folder: Path, dataset: Dataset) -> str:
    """Given a collected server, make its database here what it was; return the digest of what was loaded.

    The server must not run; it loads the database when it starts. Raise OlderServer or RestoreFailed.
    """
    document = loadable(folder, dataset)
    place = Path(document.folder)
    try:
        _Load(folder, dataset, document, place, place / BESIDE).run()
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    except (OSError, LookupError) as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error)) from error
    return document.digest


def loadable(folder: Path, dataset: Dataset) -> EjabberdServer:
    """Given a collected server, return its document; raise OlderServer if the server here is older than that one.

    Raise RestoreFailed if the document cannot be read, names an odd place, or the server runs, or has another name.
    """
    document = documents.load(folder / SERVER, EjabberdServer)
    ours = installed_version()
    if not ours:
        raise RestoreFailed(dataset=dataset.name, reason="no ejabberd is installed here")
    check_version(dataset, document.version, ours)
    check_place(dataset, document.folder, "a database")
    here = read_settings(dataset.config or _CONFIG).node
    if here != document.node:
        reason = f"the server here is {here}, and the database belongs to {document.node}"
        raise RestoreFailed(dataset=dataset.name, reason=reason, hint=_NODE_HINT)
    if runs(document.node):
        hint = "Stop it (systemctl stop ejabberd), then run the same command again."
        raise RestoreFailed(dataset=dataset.name, reason=f"{document.node} runs", hint=hint)
    return document


@dataclass(slots=True)
class _Load:
    """One load while it is done; all that is new lies in `beside` until it is whole."""

    folder: Path
    dataset: Dataset
    document: EjabberdServer
    place: Path
    beside: Path

    def run(self) -> None:
        account = pwd.getpwnam(ACCOUNT)
        if not self.place.is_dir():
            self.place.mkdir(parents=True, mode=0o750)
            os.chown(self.place, account.pw_uid, account.pw_gid)
        trees.remove(self.beside)
        try:
            for folder in (self.beside, self.beside / "tables"):
                folder.mkdir(mode=0o700)
                os.chown(folder, account.pw_uid, account.pw_gid)
            owner = (account.pw_uid, account.pw_gid)
            backup = self.beside / "backup"
            copy_collected(self.folder, self.document.content, self.dataset, backup, mode=0o600, owner=owner)
            self._try(account)
            sync_filesystem(self.beside)
            os.replace(self.beside / "made", self.place / _FALLBACK)
            sync_directory(self.place)
            self._put_tables()
        finally:
            trees.remove(self.beside)

    def _put_tables(self) -> None:
        """Put the tables of the trial in the place of those that are there, durably; then the fallback can go."""
        for path in self.place.iterdir():
            if path.suffix in _SUFFIXES:
                path.unlink()
        for path in (self.beside / "tables").iterdir():
            os.replace(path, self.place / path.name)
        sync_filesystem(self.place)
        (self.place / _FALLBACK).unlink()
        sync_directory(self.place)

    def _try(self, account: pwd.struct_passwd) -> None:
        """Load the database apart and count its records; raise RestoreFailed if they are not as many as there were."""
        argv = [
            "erl", "-noinput", "-sname" if "." not in self.document.node else "-name", self.document.node,
            "-start_epmd", "false", "-dist_listen", "false", "-mnesia", "dir", f'"{self.beside}/tables"',
            "-eval", _SCRIPT,
        ]  # fmt: skip
        environment = {"HOME": account.pw_dir}
        answer = run(argv, user=account.pw_name, env=environment, cwd=str(self.beside), timeout=_DAY)
        found: dict[str, int] = {}
        for line in answer.text.splitlines():
            name, _, size = line.rpartition(" ")
            if size.isdigit():
                found[name] = found.get(name, 0) + int(size)
        for name, count in self.document.records.items():
            if found.get(name, 0) != count:
                reason = f"{name} has {found.get(name, 0)} records after the load, and had {count}"
                raise RestoreFailed(dataset=self.dataset.name, reason=reason)
