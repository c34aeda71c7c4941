"""A change of the running network that puts itself back: armed before it, disarmed once somebody answers.

What was is written to /run before anything is touched; a timer of the system's puts it back though this process is
gone. So a server that lost its network by a promotion is reachable again where it was before.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from hotsync.backends.network import addresses as live
from hotsync.backends.network.live_links import read_masters, top_here
from hotsync.backends.network.snapshot import Before, Neighbour, read_before, restore
from hotsync.backends.network.wires import answering
from hotsync.config.schema import WAY_BACK, Settings, raise_if_any
from hotsync.errors import CommandFailed, NetworkSilent
from hotsync.model.network.values import Address, parse_address
from hotsync.state.settings import read_settings
from hotsync.system import command, files, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

UNIT = "hotsync-network-rollback"
VERB = "--network-back"
"""The hidden option of `hotsync-promote` that the timer calls."""

_BEFORE = TypeAdapter(Before)
_MOST_ASKED, _MOST_NEIGHBOURS = 64, 8
_GRACE_SECONDS = 20
_ASK_SECONDS = 1.5
_NO_TIMER = (
    "systemd starts no timer that puts the network back if nobody answers ({why}): HotSync does it itself, but had it "
    "been killed meanwhile, the network would have stayed as it was then."
)
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

    `probe` is an address that must answer afterwards ("": whoever answered before, or a new gateway). `tell` is told
    where no timer can be had: the change is made all the same (0163).
    """

    paths: Paths
    clock: Clock
    seconds: int
    probe: str = ""
    timer: Timer = field(default_factory=SystemTimer)
    tell: Callable[[str], None] = _log.warning

    def arm(self, made: Iterable[str], gateways: Iterable[Address] = ()) -> Before | None:
        """Keep the network as it is and start the timer; return what is kept, None where nothing is to be guarded.

        `made` are interfaces that the change makes, `gateways` the routers that it sets.

        What an attempt that was cut has kept stays what the network is put back to.
        """
        if not self.seconds:
            return None
        confirmed_path(self.paths).unlink(missing_ok=True)
        before = load_before(self.paths) or read_before(made, [] if self.probe else neighbours(gateways))
        self.paths.run.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_BEFORE.dump_python(before, mode="json"))
        files.write_atomic(before_path(self.paths), text.encode(), mode=0o600)
        try:
            self.timer.start(self.seconds + _GRACE_SECONDS)
        except CommandFailed as error:
            _log.warning("no timer guards the network: %s", error.sentence)
            self.tell(_NO_TIMER.format(why=error.facts.get("detail")))
        return before

    def prove(self, before: Before, gateways: Iterable[Address], taken: Iterable[Address]) -> None:
        """Given what was before and what was taken, wait until somebody answers; then, or if nobody could tell, let the
        change stand.

        Who is in a network that was taken must answer on the wire that has it now: cards that changed places would be
        noticed by nobody else. Raise NetworkSilent, with the network as it was before, if nobody does in time, or the
        timer came first.
        """
        # the routers of all networks may have the same link-local address: that one answers shows nothing
        asked, here = tuple(each for each in gateways if not each.is_link_local), tuple(taken)
        there = (each.address for each in before.neighbours)
        who = self.probe or ", ".join(dict.fromkeys(each.address for each in (*there, *asked)))
        if self.probe or before.neighbours:
            end = self.clock.monotonic() + self.seconds
            while not (confirmed_path(self.paths).exists() or self._answers(before, asked, here)):
                if self.clock.monotonic() >= end:
                    put_back(self.paths)
                    self.timer.stop()
                    raise NetworkSilent(asked=who, seconds=self.seconds)
                self.clock.sleep(1.0)
        if not _let_stand(self.paths):
            _restore(before)  # the change may have gone on after that
            raise NetworkSilent(asked=who or "nobody", seconds=self.seconds + _GRACE_SECONDS)
        self.timer.stop()

    def _answers(self, before: Before, gateways: tuple[Address, ...], taken: tuple[Address, ...]) -> bool:
        if self.probe:
            wire = wire_of(self.probe, taken)
            return bool(answering([Address(wire, self.probe, 0)], _ASK_SECONDS)) if wire else reaches(self.probe)
        masters = read_masters()
        macs = {_moved(each.address, before, taken, masters): each.mac for each in before.neighbours}
        known = {each.address.address for each in before.neighbours}
        new = [each for each in gateways if each.address not in known and each.interface in masters]
        found = answering([*(each for each in macs if each.interface in masters), *new], _ASK_SECONDS)
        # a router of two networks may answer on both wires: only the card counts that answered before
        if any(mac == macs.get(address, mac) for address, mac in found.items()):
            return True
        return any(reaches(each.address) for each in new if not wire_of(each.address, taken))


def checked_settings(paths: Paths) -> Settings:
    """Return the settings; raise ConfigError if one of those is wrong that decide whether a changed network stays."""
    settings, faults = read_settings(paths)
    raise_if_any([fault for fault in faults if fault.prop in WAY_BACK])
    return settings


def guard_by_settings(paths: Paths, clock: Clock, tell: Callable[[str], None]) -> Rollback:
    """Return what guards a change of this host's network; raise ConfigError as `checked_settings` does."""
    settings = checked_settings(paths)
    return Rollback(paths, clock, settings.rollback_seconds, settings.network_probe, tell=tell)


def wire_of(address: str, taken: Iterable[Address]) -> str:
    """Given an address and those that were taken, return the interface whose network it is in, "" if none is."""
    asked = ipaddress.ip_address(address)
    return next((each.interface for each in taken if asked in ipaddress.ip_interface(str(each)).network), "")


def _moved(neighbour: Address, before: Before, taken: Iterable[Address], masters: Mapping[str, str]) -> Address:
    """Given who answered before, return it on the interface that has its network now; where it was, if none was taken
    there.

    A link-local address says nothing of a network: there it counts what this server had on the same wire.
    """
    own = [each.address for each in before.addresses if each.interface == neighbour.interface]
    here = tuple(taken)
    wires = (wire_of(address, here) for address in (own if neighbour.is_link_local else [neighbour.address]))
    return replace(neighbour, interface=next(filter(None, wires), "") or top_here(neighbour.interface, masters))


def load_before(paths: Paths) -> Before | None:
    """Return the network that a change would be put back to, None if none is under way."""
    with suppress(OSError, ValidationError):
        return _BEFORE.validate_json(before_path(paths).read_bytes())
    return None


def is_unproven(paths: Paths) -> bool:
    """Return whether the network was changed, and neither who answers nor a person has said that it may stay: a process
    was killed in between."""
    return load_before(paths) is not None and not confirmed_path(paths).exists()


def _alone(paths: Paths) -> AbstractContextManager[None]:
    return lock.held(paths.run / "network-back.lock", "rollback of the network", wait=True)


def _let_stand(paths: Paths) -> bool:
    """End the change under way; return whether it stands.

    Where the timer came first, whoever answered did so in the network from before.
    """
    with _alone(paths):
        stands = load_before(paths) is not None or confirmed_path(paths).exists()
        before_path(paths).unlink(missing_ok=True)
        return stands


def put_back(paths: Paths) -> bool:
    """Put the network back as it was before the change under way, if there is one and no person has said that it may
    stay; return whether it was."""
    with _alone(paths):
        before = load_before(paths)
        if before is None:
            return False
        if confirmed_path(paths).exists():  # said to a process that is gone
            before_path(paths).unlink(missing_ok=True)
            return False
        _restore(before)
        before_path(paths).unlink(missing_ok=True)
        return True


def _restore(before: Before) -> None:
    for fault in restore(before):
        _log.warning("the network was not wholly put back: %s", fault)
    _log.warning("the network of this server was put back as it was: nothing answered with the new one")
    live.announce(before.addresses)


def neighbours(routers: Iterable[Address] = ()) -> tuple[Neighbour, ...]:
    """Return a few of those that answer this server now on its wires, each with the interface where it does: gateways
    first, link-local addresses last.

    `routers` in no network of ours are asked for on every wire; one that answers on several tells nothing.
    """
    seen: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "neighbour", "show"]).text or "[]")
    known = [parse_address(each["dev"], each["dst"]) for each in seen if "lladdr" in each]
    known.sort(key=lambda each: each.is_link_local)
    wires = [name for name, master in read_masters().items() if not master and name != "lo"]
    own = live.read_addresses()
    new = [each for each in routers if not each.is_link_local and not wire_of(each.address, own)]
    others = [replace(each, interface=name) for each in new for name in wires]
    asked = list(dict.fromkeys([*live.read_gateways(), *others, *known[:_MOST_ASKED]]))
    answered = answering(asked, _ASK_SECONDS)
    times = Counter(each.address for each in others if each in answered)
    there = (each for each in asked if each in answered and times[each.address] < 2)
    return tuple(Neighbour(each, answered[each]) for each in there)[:_MOST_NEIGHBOURS]


def reaches(address: str) -> bool:
    """Return whether an address answers ping, or on a wire of ours by its network's own means."""
    try:
        answer = command.run(["ping", "-n", "-q", "-c", "1", "-W", "1", address], ok=range(256))
        if answer.returncode == 0:
            return True
    except CommandFailed:
        pass  # there is no ping here: who is on a wire of ours is heard all the same
    found = command.run(["ip", "-j", "route", "get", address], ok=range(256))
    ways: list[dict[str, Any]] = json.loads(found.text or "[]") if found.returncode == 0 else []
    on_wire = [Address(each["dev"], address, 0) for each in ways if "gateway" not in each and "dev" in each]
    return bool(answering(on_wire, _ASK_SECONDS))
