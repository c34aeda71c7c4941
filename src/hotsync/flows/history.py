"""What a SLAVE holds of its MASTER's past: list, compare, bring back, verify."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hotsync.engine.open_replica import open_replica
from hotsync.errors import NotReady, UsageError, WrongRole
from hotsync.model.changeset import checked_path
from hotsync.model.generation import Generation
from hotsync.model.identity import Role
from hotsync.replica.history import Difference
from hotsync.replica.layout import Layout
from hotsync.replica.restore import RestoreReport
from hotsync.replica.store import Replica
from hotsync.replica.verify import VerifyReport
from hotsync.state.store import load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def generations(paths: Paths, clock: Clock) -> list[Generation]:
    """Return the generations that are held, oldest first; raise WrongRole where there is no replica."""
    replica = _replica(paths, clock, "history")
    return replica.generations() if paths.manifest.exists() else []


def diff(paths: Paths, clock: Clock, old: str, new: str) -> list[Difference]:
    """Given two generations or times, return the paths that differ; raise UsageError if one is not held."""
    replica = _replica(paths, clock, "diff")
    held = _held(replica)
    return list(replica.diff(number_of(held, old), number_of(held, new)))


def restore(paths: Paths, clock: Clock, path: str, folder: Path, moment: str) -> RestoreReport:
    """Given a path of the MASTER, write it as it was into a folder; raise UsageError, Refused or ReplicaError."""
    wanted = path_of(path)
    replica = _replica(paths, clock, "restore")
    number = number_of(_held(replica), moment)
    return replica.restore(wanted, folder, number)


def verify(paths: Paths, clock: Clock, sample: int | None) -> VerifyReport:
    """Compare the replica with its manifest and sums; raise NotReady if there is nothing to compare."""
    replica = _replica(paths, clock, "verify")
    _held(replica)
    return replica.verify(sample)


def path_of(words: str) -> str:
    """Given a path as people write it, return it as the replica has it; raise UsageError if it can be none."""
    parts = [part for part in words.split("/") if part not in ("", ".")]
    try:
        if not words.startswith("/"):
            raise ValueError("it does not begin with a slash")
        if ".." in parts:
            raise ValueError(".. leads out of it")
        return checked_path("/".join(parts))
    except ValueError as error:
        raise UsageError(
            reason=f"{words!r} is no path of the MASTER: {error}.",
            hint="Name it as the MASTER does, such as /etc/hosts.",
        ) from error


def number_of(held: list[Generation], moment: str) -> int:
    """Given a generation's number or a local time, return the one meant: at a time, the newest collected by then.

    "" is the newest. Raise UsageError if it is neither, or not held.
    """
    if not moment:
        return held[-1].number
    if moment.isdecimal():
        number = int(moment)
        if all(generation.number != number for generation in held):
            raise UsageError(reason=f"Generation {number} is not held.", hint="`hotsync history` lists those that are.")
        return number
    try:
        wanted = datetime.fromisoformat(moment).timestamp()
    except ValueError as error:
        raise UsageError(
            reason=f"{moment!r} is neither a generation nor a time.", hint="Write a time as 2026-11-22 16:30."
        ) from error
    older = [generation for generation in held if generation.collected_at <= wanted]
    if not older:
        raise UsageError(reason=f"No generation is as old as {moment}.", hint="`hotsync history` lists what is held.")
    # one that was made of an older one is of that one's time
    return max(older, key=lambda each: (each.collected_at, each.number)).number


def _replica(paths: Paths, clock: Clock, command: str) -> Replica:
    """Return the replica of a SLAVE, or the closed one of a promoted host; raise WrongRole, and make nothing, else."""
    role = load_role(paths).role
    if role is not Role.SLAVE and not Layout(paths.replica).closed.exists():
        raise WrongRole(role=role.in_words, command=f"hotsync {command}", wanted="the SLAVE")
    return open_replica(paths, clock)


def _held(replica: Replica) -> list[Generation]:
    held = replica.generations()
    if not held:
        raise NotReady(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )
    return held
