"""The decisions of a sync run: may it, from where does it start, how did it end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hotsync.errors import ExitCode, NotPaired, StaleEpoch, UsageError, WrongRole
from hotsync.model.identity import Peer, Role, RoleRecord


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one side of the pair stands: the number and the chained digest of its newest generation."""

    generation: int
    digest: str


class Start(StrEnum):
    """From where a run goes on."""

    SAME = "same"  # both sides agree
    OUTBOX = "outbox"  # the SLAVE committed what we sent last, and we did not hear of it
    FETCH = "fetch"  # the SLAVE's manifest is taken


def where_to_start(ours: Standing, theirs: Standing, outbox: Standing | None) -> Start:
    """Given both standings and the changeset that was sent last, return from where the run goes on."""
    if ours == theirs:
        return Start.SAME
    if outbox is not None and outbox == theirs and outbox.generation == ours.generation + 1:
        return Start.OUTBOX
    return Start.FETCH


def check_may_sync(role: RoleRecord, wished: Role, enabled: bool, peer: Peer | None, slave_host: str) -> None:
    """Raise the error that says why this host may not sync, if it may not."""
    actual = role.role or wished
    if actual is Role.NONE:
        raise UsageError(
            reason="This server has no role yet.",
            hint="Configure it: config setprop hotsync role master; config setprop hotsync SlaveHost <SLAVE_IP>; "
            "config setprop rsyncd password <PASSWORD>; signal-event nethserver-hotsync-save",
        )
    if actual is not Role.MASTER:
        raise WrongRole(role=actual.in_words, command="hotsync", wanted="the MASTER")
    if role.claim is not None and role.claim > role.epoch:
        raise StaleEpoch(ours=role.epoch, theirs=role.claim)
    if not enabled:
        raise UsageError(
            reason="HotSync is disabled here.",
            hint="Enable it: config setprop hotsync status enabled; signal-event nethserver-hotsync-save",
        )
    if not slave_host:
        raise UsageError(
            reason="This MASTER has no SLAVE.",
            hint="config setprop hotsync SlaveHost <SLAVE_IP>; signal-event nethserver-hotsync-save",
        )
    if peer is None:
        raise NotPaired(address=slave_host)


def exit_code_of(failed_sources: int, warnings: int) -> ExitCode:
    """Given how many datasets could not be collected and how many paths went less than well, return the exit code."""
    if failed_sources:
        return ExitCode.SOURCE
    return ExitCode.WARNINGS if warnings else ExitCode.DONE
