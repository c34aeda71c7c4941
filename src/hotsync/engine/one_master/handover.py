"""The MASTER while it hands over: which units of production stop, what runs on until the last run has its data."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from hotsync.backends.mute import Systemctl, parse_show, systemctl
from hotsync.backends.production_units import ProductionUnits, active_units
from hotsync.backends.standstill import Standstill, left_of, ports_of
from hotsync.backends.units import MASTER_TIMER, Units
from hotsync.engine.one_master.hold import Holding
from hotsync.engine.sync.select import own_profiles
from hotsync.errors import CommandFailed, HandOverFailed, HotSyncError
from hotsync.model.facts import UnitFact
from hotsync.model.mute import covers
from hotsync.model.production import start_waves
from hotsync.sources.registry import SOURCES
from hotsync.sources.source import Context
from hotsync.state.hold import at_work
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.handover")
_STOP_SECONDS = 900.0
_LEFT_SECONDS = 15
_RUN_SECONDS = 24 * 3600.0
_BUSY = 4
_STOPS_WITH = ("PartOf", "Requires", "BindsTo", "Requisite")
"""What a unit cannot do without: where that is stopped, the unit is, too."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a sync run ended, as its record says."""

    exit_code: int
    generation: int
    sentence: str


class Yard(Protocol):
    """What a hand-over asks of the MASTER."""

    def lacking(self) -> str:
        """Return why this server could not become the SLAVE once it has handed over, "" if it can."""
        ...

    def running(self) -> tuple[str, ...]:
        """Return the units of production that run now, without the database servers."""
        ...

    def told(self) -> tuple[UnitFact, ...]:
        """Return all units of this host as the SLAVE is told of them."""
        ...

    def timers(self) -> tuple[str, ...]:
        """Return HotSync's own units by which runs begin, as far as they are active."""
        ...

    def stop(self, units: Sequence[str], timers: Sequence[str]) -> None:
        """Keep runs and production from starting, stop these units, and cut other hosts off the databases.

        Raise HotSyncError or OSError if anything of it still runs then.
        """
        ...

    def run(self, *, last: bool) -> Run | None:
        """Do one sync run, the `last` of all with every database dumped now; None while another one goes on."""
        ...

    def leave(self) -> None:
        """What was handed over is claimed: give production's addresses up, at once."""
        ...

    def go_on(self, units: Sequence[str], timers: Sequence[str]) -> None:
        """Let production start again, and start these units; what does not start is told, and stops nothing."""
        ...


@dataclass(frozen=True)
class MasterYard:
    """This host."""

    paths: Paths
    clock: Clock
    holding: Holding
    still: Standstill
    own: Units
    ask: Systemctl = systemctl
    active: Callable[[], frozenset[str]] = active_units
    room_lacking: Callable[[Paths], str] = lambda _: ""

    def lacking(self) -> str:
        """Return why this server could not become the SLAVE once it has handed over, "" if it can."""
        return self.room_lacking(self.paths)

    def running(self) -> tuple[str, ...]:
        """Return the units of production that run now, without the database servers."""
        production, kept = self.holding.production(), self._kept()
        return tuple(sorted(unit for unit in self.active() if covers(production, unit) and unit not in kept))

    def told(self) -> tuple[UnitFact, ...]:
        """Return all units of this host as the SLAVE is told of them."""
        return self.holding.read_units(self.paths)

    def _databases(self) -> frozenset[str]:
        """Return the units of the database servers that the last run asks for their data."""
        context = Context(self.paths, self.clock)
        found = [each for source in SOURCES if source.IS_DATABASE for each in source.inspect(context)]
        return frozenset(each.unit for each in found if each.unit and not each.parked)

    def _kept(self) -> frozenset[str]:
        """Return the database servers, with all that they would stop with."""
        known: set[str] = set()
        waiting = set(self._databases())
        while waiting:
            known |= waiting
            shown = self.ask(["show", f"--property={','.join(_STOPS_WITH)}", "--", *sorted(waiting)])
            named = {unit for record in parse_show(shown) for value in record.values() for unit in value.split()}
            waiting = {unit for unit in named if unit.endswith((".service", ".socket"))} - known
        return frozenset(known)

    def timers(self) -> tuple[str, ...]:
        """Return HotSync's own units by which runs begin, as far as they are active."""
        return (MASTER_TIMER,) if self.own.is_active(MASTER_TIMER) else ()

    def stop(self, units: Sequence[str], timers: Sequence[str]) -> None:
        """Keep runs and production from starting, stop production, and cut other hosts off the databases."""
        for timer in timers:
            self.own.stop(timer)
        production, kept = self.holding.production(), self._kept()
        self.still.block(production - kept)
        starters = [unit for unit in units if not unit.endswith(".service")]
        services = [unit for unit in units if unit.endswith(".service")]
        orders = [profile.services.start for profile in own_profiles(self.paths)]
        # what starts others first, then the services, those last that others of an application start after
        for wave in (tuple(starters), *reversed(start_waves(services, orders))):
            if wave:
                command.run(["systemctl", "stop", "--", *wave], timeout=_STOP_SECONDS)
        self._stop_passing(production, kept)
        self._end_left(frozenset(services))
        self.still.cut_off(ports_of(self._databases()))

    def _stop_passing(self, production: frozenset[str], kept: frozenset[str]) -> None:
        """Stop what was about to start, or ran for a moment, when it was looked what runs."""
        listed = ["list-units", "--plain", "--no-legend", "--full", "--state=active,activating,reloading"]
        for last in (False, True):
            names = (line.split()[0] for line in self.ask(listed).splitlines() if line.split())
            left = sorted(unit for unit in names if covers(production, unit) and unit not in kept)
            if not left:
                return
            if last:
                raise HandOverFailed(
                    reason=f"{', '.join(left[:5])} cannot be stopped", hint=f"systemctl status {left[0]}"
                )
            command.run(["systemctl", "stop", "--", *left], timeout=_STOP_SECONDS)

    def _end_left(self, units: frozenset[str]) -> None:
        """End what a stopped unit has left behind, as cron does with its jobs; raise HandOverFailed if it stays."""
        for turn in range(_LEFT_SECONDS + 1):
            left = left_of(units)
            if not left:
                return
            if turn == 0:
                for pid, unit in left.items():
                    _log.warning("ending process %d, left behind by %s", pid, unit)
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
            self.clock.sleep(1.0)
        pid, unit = next(iter(left_of(units).items()), (0, ""))
        if pid:
            raise HandOverFailed(
                reason=f"process {pid} of {unit} does not end", hint="Let it end on the MASTER, then run it again."
            )

    def run(self, *, last: bool) -> Run | None:
        """Do one sync run in a process of its own, which can be ended."""
        words = ["hotsync", "--json", *(["--hand-over"] if last else [])]
        done = command.run(words, ok=range(256), timeout=_RUN_SECONDS)
        if done.returncode == _BUSY:
            return None
        try:
            document = json.loads(done.text)
            return Run(int(document["exit_code"]), int(document["generation"] or 0), str(document["summary"]))
        except (ValueError, KeyError, TypeError):
            said = done.errors.strip().splitlines()
            return Run(done.returncode or 70, 0, said[0] if said else "the run said nothing")

    def leave(self) -> None:
        """What was handed over is claimed: give production's addresses up, at once.

        hotsync-hold.service does it, too, and all the rest; but clients wait until they are gone, and this process runs
        already. Raise Busy where that one is faster.
        """
        with at_work(self.paths, wait=False):
            self.holding.leave()

    def go_on(self, units: Sequence[str], timers: Sequence[str]) -> None:
        """Let production start again, and start these units."""
        try:
            self.still.unblock()
        finally:
            ProductionUnits(self.paths, _log.warning).start_all(units)
            for unit in timers:
                try:
                    self.own.start(unit)
                except CommandFailed as error:
                    _log.warning("%s", error.sentence)


def named(error: Exception) -> str:
    """Given what ended a hand-over, return it as the sentence that both servers say."""
    return error.sentence if isinstance(error, HotSyncError) else str(error)
