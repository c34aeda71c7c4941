"""The replication slot on the MASTER: what it keeps for the SLAVE, and how much of that is too much.

A slot makes the server keep its log until the SLAVE has it. A SLAVE that is away for long would fill the MASTER's disk;
so past a bound the slot is dropped, and the SLAVE is seeded anew when it is back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from hotsync.errors import CommandFailed
from hotsync.sources.postgresql.cluster import Login, ask, ask_json, detail, inspect_clusters, login_of
from hotsync.sources.source import Dataset

_WRITTEN = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
"""Where the log ends; a MASTER's cluster that is a hot standby itself keeps that of its primary for the SLAVE."""
_LOOK = """
SELECT json_build_object('lost', coalesce(wal_status = 'lost', false),
  'kept', coalesce(pg_wal_lsn_diff({written}, restart_lsn), 0)::bigint,
  'directory', current_setting('data_directory'))
FROM pg_replication_slots WHERE slot_name = 'hotsync' AND slot_type = 'physical'
"""
_END_SENDER = """
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
  WHERE slot_name = 'hotsync' AND slot_type = 'physical' AND active_pid IS NOT NULL
"""
_DROP = """
SET lc_messages = 'C';
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
  WHERE slot_name = 'hotsync' AND slot_type = 'physical'
"""
_FOLLOWED = """
SELECT coalesce(bool_or(r.state = 'streaming' AND pg_wal_lsn_diff({written}, r.replay_lsn) <= {behind}),
  false) FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
  WHERE s.slot_name = 'hotsync' AND s.slot_type = 'physical'
"""
_CLOSE = 16 * 1024 * 1024
"""A standby that lacks no more of the log than that (one segment, usually) has all but the last moment."""
_QUARTER = 4
_TRIES = 20


class Slot(BaseModel):
    """The slot as the server shows it: how many bytes of the log it keeps, and where; is it lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    lost: bool
    kept: int
    directory: str


@dataclass(frozen=True, slots=True)
class Overrun:
    """A slot that keeps more than it may: bytes kept, and the bound."""

    kept: int
    bound: int


def look(login: Login) -> Slot | None:
    """Return the slot of a cluster, None if it has none; raise CommandFailed or ValueError."""
    found = ask_json(login, _LOOK.format(written=_WRITTEN))
    return None if found is None else Slot.model_validate(found)


def is_followed(cluster: Dataset) -> bool:
    """Given a cluster that runs, return whether a standby uses the slot and has applied all but the last of its log.

    A copy that is being made uses the slot, too, and applies nothing. Raise CommandFailed.
    """
    return ask(login_of(cluster), _FOLLOWED.format(written=_WRITTEN, behind=_CLOSE)) == "t"


def drop(login: Login) -> None:
    """Drop the slot, also from under a standby that uses it; none is fine. Raise CommandFailed."""
    for attempt in range(_TRIES):
        ask(login, _END_SENDER)
        try:
            ask(login, _DROP)
            return
        except CommandFailed as error:
            # the slot is free a moment after its sender has ended
            if "is active" not in error.stderr or attempt == _TRIES - 1:
                raise
        ask(login, "SELECT pg_sleep(0.2)")


def tend(cluster: Dataset, keep_mb: int) -> str:
    """Given a cluster that runs, drop its slot if that keeps more than it may; return in words that it did, else "".

    `keep_mb` 0: it is not to be streamed any more. Raise CommandFailed, OSError or ValueError if nobody can tell.
    """
    login = login_of(cluster)
    slot = look(login)
    if slot is None:
        return ""
    if not keep_mb:
        drop(login)
        return f"{cluster.name} is not streamed any more, and keeps nothing for the SLAVE"
    over = overrun(slot.kept, keep_mb, free_bytes(slot))
    if over is None and not slot.lost:
        return ""
    drop(login)
    why = "has lost its place in the log"
    if over is not None:
        why = f"would keep {over.kept >> 20} MB of the log for the SLAVE, more than {over.bound >> 20} MB"
    return f"The stream of {cluster.name} {why}: it is given up, and the SLAVE gets a new copy when it is back"


def tend_all(keep_mb: int) -> list[str]:
    """Do the same for all clusters of this host that run; return what there is to say, also of what went wrong."""
    said: list[str] = []
    for cluster in inspect_clusters():
        if cluster.fault or cluster.parked:
            continue
        try:
            said.append(tend(cluster, keep_mb))
        except (CommandFailed, OSError, ValueError) as error:
            said.append(f"What {cluster.name} keeps for the SLAVE cannot be looked at: {detail(error)}")
    return [sentence for sentence in said if sentence]


def free_bytes(slot: Slot) -> int:
    """Return how much is free where the server keeps its log; raise OSError."""
    room = os.statvfs(os.path.join(slot.directory, "pg_wal"))
    return room.f_bavail * room.f_frsize


def overrun(kept: int, keep_mb: int, free: int) -> Overrun | None:
    """Given what a slot keeps, what it may keep, and what is free, return that it is too much, None if it is not.

    Never more than a quarter of what would be free without it.
    """
    bound = min(keep_mb << 20, (free + kept) // _QUARTER)
    return Overrun(kept, bound) if kept > bound else None
