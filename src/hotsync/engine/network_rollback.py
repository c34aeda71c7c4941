"""A change of the running network that puts itself back: armed before it, disarmed once somebody answers.

What was is written to /run before anything is touched; a timer of the system's puts it back though this process is
gone. So a server that lost its network by a promotion is reachable again where it was before.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from hotsync.backends.network import addresses as live
from hotsync.backends.network.live_links import read_masters, top_here
from hotsync.backends.network.snapshot import Before, read_before, restore
from hotsync.config.schema import WAY_BACK, Settings, raise_if_any
from hotsync.errors import CommandFailed, NetworkSilent
from hotsync.model.network import Address
from hotsync.state.settings import read_settings
from hotsync.system import command, files, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

UNIT = "hotsync-network-rollback"
VERB = "--network-back"
"""The hidden option of `hotsync-promote` that the timer calls."""

_BEFORE = TypeAdapter(Before)
_MOST_NEIGHBOURS = 8
_GRACE_SECONDS = 20
_ASK_SECONDS = 1.5
_log = logging.getLogger("hotsync.network")


def before_path(paths: Paths) -> Path:
    """Return where the network is kept that a change would be put back to."""
    return paths.run / "network-before.json"


def confirmed_path(paths: Paths) -> Path:
    """Return the file by which a person says that the server is reached."""
    return paths.run / "network-confirmed"


class Timer(Protocol):
    """What puts the network back though this process is gone."""

    def start(self, seconds: int) -> None:
        """Call the verb after so many seconds, in place of an earlier call that waits; raise CommandFailed."""
        ...

    def stop(self) -> None:
        """Call it no more."""
        ...


class SystemTimer:
    """A transient timer of systemd's."""

    def start(self, seconds: int) -> None:
        """Call the verb after so many seconds, in place of an earlier call that waits; raise CommandFailed."""
        self.stop()
        when = [f"--on-active={seconds}", "--timer-property=AccuracySec=1s"]
        program = ["/usr/bin/hotsync-promote", VERB]
        command.run(["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", *when, "--", *program])

    def stop(self) -> None:
        """Call it no more."""
        command.run(["systemctl", "stop", f"{UNIT}.timer"], ok=range(256))


@dataclass(frozen=True, slots=True)
class Rollback:
    """Guards one change of the network of this host.

    `probe` is an address that must answer afterwards ("": whoever answered before, or a new gateway).
    """

    paths: Paths
    clock: Clock
    seconds: int
    probe: str = ""
    timer: Timer = field(default_factory=SystemTimer)

    def arm(self, made: Iterable[str]) -> Before | None:
        """Keep the network as it is and start the timer; return what is kept, None where nothing is to be guarded.

        What an attempt that was cut has kept stays what the network is put back to.
        """
        if not self.seconds:
            return None
        confirmed_path(self.paths).unlink(missing_ok=True)
        before = load_before(self.paths) or read_before(made, [] if self.probe else neighbours())
        self.paths.run.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_BEFORE.dump_python(before, mode="json"))
        files.write_atomic(before_path(self.paths), text.encode(), mode=0o600)
        try:
            self.timer.start(self.seconds + _GRACE_SECONDS)
        except CommandFailed as error:
            _log.warning("the network would not be put back by itself: %s", error.sentence)
        return before

    def prove(self, before: Before, gateways: Iterable[Address], taken: Iterable[Address]) -> None:
        """Given what was before and what was taken, wait until somebody answers; then, or if nobody could tell, let the
        change stand.

        Who is in a network that was taken must answer on the wire that has it now: cards that changed places would be
        noticed by nobody else. Raise NetworkSilent, with the network as it was before, if nobody does in time.
        """
        asked, here = tuple(gateways), tuple(taken)
        if self.probe or before.neighbours:
            end = self.clock.monotonic() + self.seconds
            while not (confirmed_path(self.paths).exists() or self._answers(before, asked, here)):
                if self.clock.monotonic() >= end:
                    put_back(self.paths)
                    self.timer.stop()
                    who = self.probe or ", ".join(address.address for address in (*before.neighbours, *asked))
                    raise NetworkSilent(asked=who, seconds=self.seconds)
                self.clock.sleep(1.0)
        self.timer.stop()
        before_path(self.paths).unlink(missing_ok=True)

    def _answers(self, before: Before, gateways: tuple[Address, ...], taken: tuple[Address, ...]) -> bool:
        if self.probe:
            wire = wire_of(self.probe, taken)
            return bool(live.holders([Address(wire, self.probe, 32)], _ASK_SECONDS)) if wire else reaches(self.probe)
        masters = read_masters()
        asked = [
            Address(wire_of(each.address, taken) or top_here(each.interface, masters), each.address, each.prefix)
            for each in before.neighbours
        ]
        groups = ([each for each in some if each.interface in masters] for some in (asked, gateways))
        return any(live.holders(group, _ASK_SECONDS) for group in groups) or any(
            reaches(each.address) for each in gateways
        )


def checked_settings(paths: Paths) -> Settings:
    """Return the settings; raise ConfigError if one of those is wrong that decide whether a changed network stays."""
    settings, faults = read_settings(paths)
    raise_if_any([fault for fault in faults if fault.prop in WAY_BACK])
    return settings


def guard_by_settings(paths: Paths, clock: Clock) -> Rollback:
    """Return what guards a change of this host's network; raise ConfigError as `checked_settings` does."""
    settings = checked_settings(paths)
    return Rollback(paths, clock, settings.rollback_seconds, settings.network_probe)


def wire_of(address: str, taken: Iterable[Address]) -> str:
    """Given an IPv4 address and those that were taken, return the interface whose network it is in, "" if none is."""
    asked = ipaddress.ip_address(address)
    return next((each.interface for each in taken if asked in ipaddress.ip_interface(str(each)).network), "")


def load_before(paths: Paths) -> Before | None:
    """Return the network that a change would be put back to, None if none is under way."""
    with suppress(OSError, ValidationError):
        return _BEFORE.validate_json(before_path(paths).read_bytes())
    return None


def put_back(paths: Paths) -> bool:
    """Put the network back as it was before the change under way, if there is one and no person has said that it may
    stay; return whether it was."""
    with lock.held(paths.run / "network-back.lock", "rollback of the network", wait=True):
        before = load_before(paths)
        if before is None:
            return False
        if confirmed_path(paths).exists():  # said to a process that is gone
            before_path(paths).unlink(missing_ok=True)
            return False
        for fault in restore(before):
            _log.warning("the network was not wholly put back: %s", fault)
        _log.warning("the network of this server was put back as it was: nothing answered with the new one")
        live.announce(before.addresses)
        before_path(paths).unlink(missing_ok=True)
        return True


def neighbours() -> tuple[Address, ...]:
    """Return a few of those that answer this server now, by ARP, each with the interface where it does."""
    seen: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "-4", "neighbour", "show"]).text or "[]")
    known = [Address(each["dev"], each["dst"], 32) for each in seen if "lladdr" in each]
    asked = list(dict.fromkeys([*(gateway for gateway in live.read_gateways() if gateway.version == 4), *known]))
    answered = live.holders(asked, _ASK_SECONDS)
    return tuple(each for each in asked if each.address in answered)[:_MOST_NEIGHBOURS]


def reaches(address: str) -> bool:
    """Return whether an address answers ping, or ARP where it is on a wire of ours."""
    try:
        answer = command.run(["ping", "-n", "-q", "-c", "1", "-W", "1", address], ok=range(256))
        if answer.returncode == 0:
            return True
    except CommandFailed:
        pass  # there is no ping here: ARP must do
    found = command.run(["ip", "-j", "route", "get", address], ok=range(256))
    ways: list[dict[str, Any]] = json.loads(found.text or "[]") if found.returncode == 0 else []
    on_wire = [Address(each["dev"], address, 32) for each in ways if "gateway" not in each and "dev" in each]
    return bool(live.holders([each for each in on_wire if each.version == 4], _ASK_SECONDS))
