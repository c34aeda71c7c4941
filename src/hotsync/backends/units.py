"""HotSync's own units: the daemon and the timer of the role run, the rest stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hotsync.model.identity import Role
from hotsync.system import command

DAEMON = "hotsyncd.service"
STREAM = "hotsync-stream.service"
WATCH = "hotsync-watch.service"
MASTER_TIMER = "hotsync.timer"
SLAVE_TIMER = "hotsync-slave.timer"
COVERAGE_TIMER = "hotsync-coverage.timer"
DRILL_TIMER = "hotsync-drill.timer"
HOLD = "hotsync-hold.service"
HELD_MAIL = "hotsync-held-mail.service"
ALL = (MASTER_TIMER, COVERAGE_TIMER, SLAVE_TIMER, DRILL_TIMER, STREAM, WATCH, DAEMON)
WANTED = {Role.NONE: (), Role.MASTER: (DAEMON, MASTER_TIMER, COVERAGE_TIMER), Role.SLAVE: (DAEMON, SLAVE_TIMER)}

Run = Callable[[Sequence[str]], command.Completed]


class OwnUnits(Protocol):
    """What a flow asks of HotSync's own units."""

    def reload(self) -> None:
        """Make systemd read the unit files anew."""
        ...

    def arrange(
        self,
        role: Role,
        *,
        enabled: bool,
        changed: Sequence[str] = (),
        streams: bool = False,
        watches: bool = False,
        drills: bool = False,
    ) -> None:
        """Run what this role needs, now and after a boot; stop the rest; `changed` timers start anew.

        `streams`: a MASTER also streams its database servers; `watches`: it looks at what it would lose; `drills`:
        a SLAVE rehearses its promotion every night.
        """
        ...


def _ask(argv: Sequence[str]) -> command.Completed:
    return command.run(argv, ok=range(256))


class Units:
    """HotSync's units, through systemctl."""

    def __init__(self, run: Run = command.run, ask: Run = _ask) -> None:
        self._run = run
        self._ask = ask

    def reload(self) -> None:
        """Make systemd read the unit files anew."""
        self._run(["systemctl", "daemon-reload"])

    def enable(self, unit: str) -> None:
        """Let a unit start at boot."""
        self._run(["systemctl", "enable", "--quiet", unit])

    def disable(self, unit: str) -> None:
        """Keep a unit from starting at boot."""
        self._run(["systemctl", "disable", "--quiet", unit])

    def start(self, unit: str) -> None:
        """Start a unit; raise CommandFailed if it does not come up."""
        self._run(["systemctl", "start", unit])

    def restart(self, unit: str) -> None:
        """Start a unit anew."""
        self._run(["systemctl", "restart", unit])

    def renew(self, unit: str) -> None:
        """Make a unit read its settings anew, without a break where it can; start it if it stands still."""
        self._run(["systemctl", "reload-or-restart", unit])

    def stop(self, unit: str) -> None:
        """Stop a unit."""
        self._run(["systemctl", "stop", unit])

    def is_active(self, unit: str) -> bool:
        """Return whether a unit runs."""
        return self._ask(["systemctl", "is-active", "--quiet", unit]).returncode == 0

    def arrange(
        self,
        role: Role,
        *,
        enabled: bool,
        changed: Sequence[str] = (),
        streams: bool = False,
        watches: bool = False,
        drills: bool = False,
    ) -> None:
        """Run what this role needs, now and after a boot; stop the rest; `changed` timers start anew."""
        wanted: tuple[str, ...] = WANTED[role] if enabled else ()
        if wanted and streams and role is Role.MASTER:
            wanted += (STREAM,)
        if wanted and watches and role is Role.MASTER:
            wanted += (WATCH,)
        if wanted and drills and role is Role.SLAVE:
            wanted += (DRILL_TIMER,)
        for unit in ALL:
            if unit not in wanted:
                self.disable(unit)
                self.stop(unit)
        for unit in wanted:
            self.enable(unit)
            if unit == DAEMON:
                self.renew(unit)
            elif unit in changed:
                self.restart(unit)
            else:
                self.start(unit)
