"""What a SLAVE holds of its MASTER's past: list, compare, bring back, verify."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hotsync.engine.open_replica import open_replica
from hotsync.errors import NotReady, UsageError
from hotsync.model.generation import Generation
from hotsync.replica.history import Difference
from hotsync.replica.restore import RestoreReport
from hotsync.replica.store import Replica
from hotsync.replica.verify import VerifyReport
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def generations(paths: Paths, clock: Clock) -> list[Generation]:
    """Return the generations that are held, oldest first."""
    return open_replica(paths, clock).generations() if paths.manifest.exists() else []


def diff(paths: Paths, clock: Clock, old: str, new: str) -> list[Difference]:
    """Given two generations or times, return the paths that differ; raise UsageError if one is not held."""
    replica = open_replica(paths, clock)
    held = _held(replica)
    return list(replica.diff(number_of(held, old), number_of(held, new)))


def restore(paths: Paths, clock: Clock, path: str, folder: Path, moment: str) -> RestoreReport:
    """Given a path of the MASTER, write it as it was into a folder; raise UsageError, Refused or ReplicaError."""
    replica = open_replica(paths, clock)
    number = number_of(_held(replica), moment)
    wanted = path.strip("/")
    if not wanted or not path.startswith("/"):
        raise UsageError(
            reason=f"{path!r} is no absolute path.", hint="Name it as the MASTER does, such as /etc/hosts."
        )
    return replica.restore(wanted, folder, number)


def verify(paths: Paths, clock: Clock, sample: int | None) -> VerifyReport:
    """Compare the replica with its manifest and sums; raise NotReady if there is nothing to compare."""
    replica = open_replica(paths, clock)
    _held(replica)
    return replica.verify(sample)


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
    return older[-1].number


def _held(replica: Replica) -> list[Generation]:
    held = replica.generations()
    if not held:
        raise NotReady(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )
    return held
