"""The units of production, through systemctl: what runs, what exists, started together, the mute taken away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hotsync.backends import boot_settings
from hotsync.errors import CommandFailed
from hotsync.model.slave_checks import listed
from hotsync.system import command, files
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.units")

MUTE_DROP_IN = "zz-hotsync-mute.conf"
_START_SECONDS = 900.0


def permit_flag(paths: Paths) -> Path:
    """Return the flag that lets muted units start, until the next boot."""
    return paths.run / "promoting"


def parse_units(text: str) -> frozenset[str]:
    """Given `systemctl list-units --plain --no-legend`, return the names in its first column."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.split())


def active_units() -> frozenset[str]:
    """Return the services, sockets, timers and paths that are active now."""
    kinds = "--type=service,socket,timer,path"
    return parse_units(
        command.run(["systemctl", "list-units", kinds, "--state=active", "--plain", "--no-legend", "--full"]).text
    )


def wanted_at_boot() -> frozenset[str]:
    """Return the services, sockets, timers and paths that a boot of this host starts: what its target wants."""
    tree = command.run(["systemctl", "list-dependencies", "--plain", "--full", "default.target"], ok=range(256)).text
    names = (line.strip() for line in tree.splitlines())
    return frozenset(name for name in names if name.endswith((".service", ".socket", ".timer", ".path")))


def known_units(units: Iterable[str]) -> frozenset[str]:
    """Given units, return those that this host has a file for (for an instance: its template's)."""
    wanted = sorted(set(units))
    if not wanted:
        return frozenset()
    answer = command.run(["systemctl", "show", "--property=Id,LoadState", "--", *wanted], ok=range(256)).text
    return parse_loaded(answer)


def parse_loaded(text: str) -> frozenset[str]:
    """Given `systemctl show --property=Id,LoadState` of several units, return those that are loaded."""
    found: set[str] = set()
    for record in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in record.splitlines():
            key, _, value = line.partition("=")
            fields[key] = value
        if fields.get("LoadState") == "loaded" and fields.get("Id"):
            found.add(fields["Id"])
    return frozenset(found)


def has_mute(paths: Paths) -> bool:
    """Return whether any unit is muted."""
    return any(paths.at("/etc/systemd/system").glob(f"*.d/{MUTE_DROP_IN}"))


class ProductionUnits:
    """What a promotion does with units."""

    def __init__(self, paths: Paths, note: Callable[[str], None] = lambda _note: None) -> None:
        """Work on this host; `note` takes what a person must know."""
        self._paths = paths
        self._note = note

    def permit(self) -> None:
        """Let muted units start in this boot only."""
        flag = permit_flag(self._paths)
        flag.parent.mkdir(parents=True, exist_ok=True)
        flag.touch(mode=0o644)

    def reload(self) -> None:
        """Make systemd read its unit files anew."""
        command.run(["systemctl", "daemon-reload"], timeout=300)

    def apply_settings(self) -> None:
        """Make kernel and services take the settings of /etc as a boot would; what was refused is noted."""
        refused = list(boot_settings.apply())
        for line in refused:
            _log.warning("%s", line)
        if refused:
            self._note(f"This machine did not take all settings of the MASTER: {listed(refused)} (see the system log).")

    def start(self, unit: str) -> None:
        """Start a unit and wait until it is up; raise CommandFailed if it fails."""
        command.run(["systemctl", "reset-failed", unit], ok=range(256))
        command.run(["systemctl", "start", unit], timeout=_START_SECONDS)
        if command.run(["systemctl", "is-active", "--quiet", unit], ok=range(256)).returncode != 0:
            # a unit whose condition does not hold "starts" without a word
            raise CommandFailed(
                program="systemctl", status="no error", detail=f"{unit} is not active", line=f"systemctl status {unit}"
            )

    @contextmanager
    def stopped(self, unit: str) -> Iterator[None]:
        """Keep a unit from running in the block; if it ran before, it runs after it, whatever came of the block.

        Raise CommandFailed if it cannot be stopped, or not be started again.
        """
        ran = command.run(["systemctl", "is-active", "--quiet", unit], ok=range(256)).returncode == 0
        if ran:
            command.run(["systemctl", "stop", unit], timeout=_START_SECONDS)
        try:
            yield
        finally:
            if ran:
                self.start(unit)

    def start_all(self, units: Sequence[str]) -> None:
        """Start units in one transaction, in the order they ask for; one that fails is told and does not raise."""
        self._all("start", units)

    def restart_all(self, units: Sequence[str]) -> None:
        """Restart units that run; one that fails is told and does not raise."""
        self._all("try-restart", units)

    def _all(self, verb: str, units: Sequence[str]) -> None:
        if not units:
            return
        command.run(["systemctl", "reset-failed", *units], ok=range(256))
        try:
            answer = command.run(["systemctl", verb, *units], ok=range(256), timeout=_START_SECONDS)
        except CommandFailed as error:  # one that hangs; systemd goes on with it, and the others are up
            _log.warning("%s", error.sentence)
            self._note(
                f"Not every unit was up after {_START_SECONDS / 60:.0f} minutes (systemctl list-jobs shows which hang)."
            )
            return
        for line in answer.errors.splitlines():
            _log.warning("%s", line)

    def unmute(self) -> None:
        """Take every mute's drop-in away; what it held back may run from now on."""
        units = self._paths.at("/etc/systemd/system")
        for drop_in in sorted(units.glob(f"*.d/{MUTE_DROP_IN}")):
            drop_in.unlink()
            if not any(drop_in.parent.iterdir()):
                drop_in.parent.rmdir()
        if units.is_dir():
            files.sync_directory(units)
        self.reload()
