"""What an administrator must know when he looks at the status: pure, from what was read."""

from __future__ import annotations

from collections.abc import Iterator

from hotsync.flows.status_shown import Status
from hotsync.model import handover
from hotsync.model.hold import hint_of, sentence_of
from hotsync.model.identity import Role
from hotsync.model.report import RunReport
from hotsync.report.mail import local_time
from hotsync.state import boot_hold

_SHOWN_NOTICES = 10
_MISSED_CHECKS = 3


def warnings_of(status: Status) -> Iterator[str]:
    """Given a status, return what is wrong with it, each as a sentence that says what to do."""
    yield from _of_role(status)
    if status.hold is not None or status.undoing:
        return  # nothing is meant to run here
    if status.settings.enabled and status.role.role is not Role.NONE:
        yield from _of_work(status)
        yield from _of_peer(status)
        yield from _of_age(status)
    if status.last_run is not None and status.last_run.exit_code:
        yield from _of_run(status.last_run)
    for point in status.newest.datasets if status.newest else ():
        if point.trouble:
            yield point.trouble


def _alone(status: Status) -> bool:
    return status.role.role is Role.MASTER and not status.settings.slave_host


def _of_role(status: Status) -> Iterator[str]:
    role, presence = status.role, status.presence
    if status.undoing:
        yield status.undoing
        return
    if status.boot_hold is not None:
        yield f"A promotion to epoch {role.claim} is not finished. {boot_hold.sentence_of(status.boot_hold)}"
    elif role.claim is not None and role.claim > role.epoch:
        yield (
            f"A promotion to epoch {role.claim} is not finished: run hotsync-promote, it goes on; or give it up with "
            "hotsync-promote --undo."
        )
    if status.hold is None and status.handover is not None:
        yield handover.sentence_of(status.handover)
    if status.rejoining:
        yield "It is coming back as SLAVE now: hotsync rejoin shows how far it is."
    elif status.rejoin is not None and not status.rejoin.finished_at:
        yield "It is coming back as SLAVE, and that is not finished: run hotsync rejoin, it goes on."
    elif status.hold is not None:
        yield f"{sentence_of(status.hold)} {hint_of(status.hold)}"
    elif presence.superseded_by > role.epoch:
        yield (
            f"This MASTER was superseded by epoch {presence.superseded_by}: it is to hold itself; `systemctl status "
            "hotsync-hold` shows it. Then `hotsync rejoin` makes it the SLAVE."
        )
    if _alone(status):
        yield "This MASTER has no SLAVE: nothing is protected until one is set (prop SlaveHost)."
    elif role.role is not Role.NONE and status.peer is None:
        yield "Not paired yet."


def _of_work(status: Status) -> Iterator[str]:
    timer = "hotsync-slave.timer" if status.role.role is Role.SLAVE else "hotsync.timer"
    if not status.serving:
        yield "hotsyncd does not run: systemctl start hotsyncd; systemctl status hotsyncd says why it stopped."
    if not status.streaming:
        yield "hotsync-stream does not run: systemctl start hotsync-stream; systemctl status hotsync-stream says why."
    if not status.watching:
        yield "hotsync-watch does not run: systemctl start hotsync-watch; systemctl status hotsync-watch says why."
    for name, unit in status.to_restart.items():
        yield (
            f"{name} waits for a restart of {unit} to be streamed, and is only dumped until then: "
            f"systemctl restart {unit}."
        )
    for standby in status.standbys:
        if standby.fault:
            yield f"{standby.name}: {standby.fault}"
    if not status.next_run and not _alone(status):
        yield f"No next run is planned: systemctl start {timer}, or signal-event nethserver-hotsync-save."
    if status.voiceless:
        yield (
            "No mail can leave this server: install a mail server (default-mta), or set a relay "
            "(config setprop hotsync NotifyRelay HOST)."
        )


def _of_peer(status: Status) -> Iterator[str]:
    presence, peer = status.presence, status.peer
    if presence.trouble is not None and not _alone(status):
        yield _with(presence.trouble.sentence, presence.trouble.hint)
    if presence.refusal is not None:
        refusal = presence.refusal
        yield _with(f"Last refused: {refusal.sentence} ({refusal.address})", refusal.hint)
    quiet = status.now - presence.last_seen > status.settings.quiet_minutes * 60
    if status.role.role is Role.SLAVE and peer is not None and not presence.connected and quiet:
        seen = local_time(presence.last_seen) if presence.last_seen else "never"
        yield (
            f"The MASTER {peer.name} is silent; last heard of: {seen}. See whether it runs and is connected; "
            "if it is lost: hotsync-promote."
        )


def _of_age(status: Status) -> Iterator[str]:
    limit = 2 * status.interval_minutes * 60
    if status.newest is not None and status.age > limit and not _alone(status):
        yield (
            f"The data on the SLAVE is {status.age / 60:.0f} minutes old, more than two intervals "
            f"(IntervalMinutes is {status.interval_minutes}): see the last run of the MASTER."
        )
    if status.role.role is not Role.SLAVE:
        return
    if status.slave_run is None:
        if status.newest is not None:
            yield "hotsync-slave has not run yet: this SLAVE cannot be promoted."
        return
    old = status.now - status.slave_run.ended_at
    if old > _MISSED_CHECKS * status.settings.slave_interval_minutes * 60:
        yield f"The readiness was last looked at {old / 3600:.0f} hours ago, and may be another now: run hotsync-slave."


def _with(sentence: str, hint: str) -> str:
    """Return what is wrong and what to do about it; the sentence of an error may end without a stop."""
    stop = "" if sentence.endswith((".", "!", "?")) else "."
    return f"{sentence}{stop} {hint}" if hint else sentence


def _of_run(last: RunReport) -> Iterator[str]:
    if last.error_code:
        yield _with(last.summary, last.hint)
    for notice in last.warnings[:_SHOWN_NOTICES]:
        yield notice.sentence
    more = len(last.warnings) - _SHOWN_NOTICES
    if more > 0:
        yield f"The last run noticed {more} more: hotsync status --json has all."
