"""Redis: the server is asked to save, and what it saved is collected.

A server puts a finished save in place by one rename, so that a file that was opened is a whole one. One that nothing
was written to since the save that was collected last is not asked again. Where the server keeps a log of its writes
(`appendonly`), that log is several files that belong together: the save stands for them too.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check
from hotsync.sources import documents
from hotsync.sources.redis.client import Redis, RedisError, ServerGone, session
from hotsync.sources.redis.config import RedisSettings, read_settings
from hotsync.sources.redis.documents import DUMP, SERVER, RedisServer
from hotsync.sources.redis.find import NAME as NAME
from hotsync.sources.redis.find import inspect as inspect
from hotsync.sources.redis.load import restore as restore
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import CHUNK, Collection, collecting, open_plain

IS_DATABASE: bool = True
_LOOK_SECONDS = 0.1
_LONGEST_SAVE = 4 * 3600.0
_SPARE = 16 * 1024 * 1024
_LOGIN = (
    "HotSync logs in with `requirepass` of the server's configuration file; that account must be allowed INFO, BGSAVE "
    "and CONFIG GET."
)
_TLS = (
    "HotSync speaks no TLS with it: give it a socket (`unixsocket`, `unixsocketperm 700`), or a port on 127.0.0.1 "
    "besides, or have it dumped by a plugin and name it in DumpedByPlugin."
)
_STARTED = ("started", "scheduled")


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given a server, bring its save in the spool up to date; raise SourceError (the last good copy stays)."""
    if dataset.fault:
        raise SourceError(dataset=dataset.name, reason=dataset.fault)
    taken_at = context.clock.now()
    try:
        settings = read_settings(dataset.config)
        with session(settings) as server, collecting(context.paths, dataset.name) as collection:
            taken_at = _collect(context, dataset, server, _live(server, settings), collection)
    except ServerGone as error:
        raise SourceError(dataset=dataset.name, reason=str(error), hint="Start it, or look into its log.") from error
    except RedisError as error:
        hint = "redis-cli INFO persistence says more; the last copy stays."
        if _is_about_login(str(error)):
            hint = _TLS if "TLS" in str(error) else _LOGIN
        raise SourceError(dataset=dataset.name, reason=str(error), hint=hint) from error
    except (OSError, LookupError, ValueError) as error:
        raise SourceError(dataset=dataset.name, reason=str(error)) from error
    return [DatasetPoint(dataset.name, taken_at)]


def verify(folder: Path) -> list[Check]:
    """Given a collected server, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / SERVER, RedisServer)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def ping(context: Context) -> str:
    """Log in to every server of this host and let it answer; return that in words. Raise RedisError that names one."""
    asked = 0
    for dataset in inspect(context):
        if dataset.parked:
            continue
        try:
            if dataset.fault:
                raise RedisError(dataset.fault)
            with session(read_settings(dataset.config)) as server:
                server.ask("PING")
        except (RedisError, OSError, ValueError) as error:
            raise RedisError(f"{dataset.name}: {error}") from error
        asked += 1
    return f"{asked} servers let HotSync in and answer"


def _is_about_login(said: str) -> bool:
    return any(word in said for word in ("NOAUTH", "WRONGPASS", "NOPERM", "AUTH", "TLS", "switched off"))


def _live(server: Redis, settings: RedisSettings) -> RedisSettings:
    """Return where the server keeps its data now; one that does not tell has it where its file says.

    A log of writes that is switched off for now, and not in the file, is looked for at the next start all the same, and
    without one the server starts empty, whatever save lies there.
    """
    said: dict[str, str] = {}
    for name in ("dir", "dbfilename", "appendonly", "appendfilename", "appenddirname"):
        with suppress(RedisError):
            answer = server.ask("CONFIG", "GET", name)
            if isinstance(answer, list) and len(answer) == 2 and isinstance(answer[1], str):
                said[name] = answer[1]
    return replace(
        settings,
        folder=said.get("dir", settings.folder),
        dump=said.get("dbfilename", settings.dump),
        append_only=settings.append_only or said.get("appendonly") == "yes",
        append_folder=said.get("appenddirname", settings.append_folder),
        append_name=said.get("appendfilename", settings.append_name),
    )


def _collect(
    context: Context, dataset: Dataset, server: Redis, settings: RedisSettings, collection: Collection
) -> float:
    about, path = server.info("server"), Path(settings.folder, settings.dump)
    last = documents.load_last(collection.folder / SERVER, RedisServer)
    taken_at = context.clock.now()
    _await_save(context, server)
    seen = f"{about.get('run_id', '')} {_identity(path)}"
    unchanged = server.info("persistence").get("rdb_changes_since_last_save") == "0"
    if last is None or not unchanged or last.seen != seen:
        _check_room(settings, server)
        taken_at = _save(context, server, path)
        seen = f"{about.get('run_id', '')} {_identity(path)}"
    candidate = collection.candidate(DUMP)
    with open_plain(path) as file:
        owner = os.stat(settings.folder)
        while chunk := file.read(CHUNK):
            candidate.write(chunk)
            context.progress(dataset.name, candidate.size)
    candidate.pause()
    content = documents.record(DUMP, candidate.digest)
    version = about.get("valkey_version") or about.get("redis_version", "")
    document = RedisServer(
        documents.SCHEMA, version, documents.digest_of_files([content]), taken_at, settings.folder, settings.dump,
        settings.append_only, settings.append_folder, settings.append_name,
        pwd.getpwuid(owner.st_uid).pw_name, grp.getgrgid(owner.st_gid).gr_name, seen, content, dataset.unit,
    )  # fmt: skip
    collection.put(SERVER, documents.render(documents.as_before(document, last)))
    collection.publish()
    return taken_at


def _save(context: Context, server: Redis, path: Path) -> float:
    """Make the server save, and wait until it has; return when it began; raise RedisError if it could not.

    A save is told by its file, which is another one, and not by LASTSAVE: that clock may be set back.
    """
    before = _identity(path)
    began = context.clock.now()
    answer = server.ask("BGSAVE", "SCHEDULE")
    if not any(word in str(answer) for word in _STARTED):
        raise RedisError(f"the save did not begin: {answer}")
    state = _await_save(context, server, lambda: _identity(path) != before)
    if state.get("rdb_last_bgsave_status") != "ok":
        raise RedisError("the server could not save; its log says why")
    return began


def _await_save(context: Context, server: Redis, is_done: Callable[[], bool] = lambda: True) -> dict[str, str]:
    """Wait until no save is going on, and the one that was asked for is done, or failed.

    Raise RedisError if that takes too long.
    """
    began, waited_since = context.clock.monotonic(), context.clock.monotonic()
    while True:
        state, now = server.info("persistence"), context.clock.monotonic()
        if state.get("loading") == "1":
            raise RedisError("the server is still loading its own data")
        busy = "1" in (state.get("rdb_bgsave_in_progress"), state.get("aof_rewrite_in_progress"))
        if not busy and (is_done() or state.get("rdb_last_bgsave_status") != "ok"):
            return server.info("persistence")
        if busy:
            waited_since = now
        if now - waited_since > context.stall_seconds or now - began > _LONGEST_SAVE:
            raise RedisError(f"the save did not end within {now - began:.0f} s")
        context.clock.sleep(_LOOK_SECONDS)


def _check_room(settings: RedisSettings, server: Redis) -> None:
    """Raise RedisError if a save might not fit: after one that failed the server takes no more writes."""
    memory = server.info("memory").get("used_memory_dataset") or "0"
    needed = int(memory if memory.isdigit() else "0")
    with suppress(OSError):
        needed = max(needed // 2, Path(settings.folder, settings.dump).lstat().st_size)
    status = os.statvfs(settings.folder)
    free = status.f_bavail * status.f_frsize
    if free < needed + _SPARE:
        raise RedisError(f"there is no room for a save in {settings.folder}: {(needed + _SPARE - free) / 2**20:.0f} MiB"
                         " are lacking, so the server was not asked for one")  # fmt: skip


def _identity(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
