"""This server's own network files come back where nobody answers with those that a promotion brought.

They come with production's addresses beside its own, so that the next boot has what was proven to work before. What a
person changed meanwhile stays. Cut anywhere, the rollback's timer, the next start of hotsync-promote, or the next boot,
before any network is up, does the rest.
"""

from __future__ import annotations

import fnmatch
import logging
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends import selinux
from hotsync.backends.network import addresses as live
from hotsync.backends.network import esmith, netplan
from hotsync.backends.network.detect import NetworkSystem, network_system
from hotsync.backends.network.files import read_text
from hotsync.backends.network.snapshot import Before, restore
from hotsync.engine.network.rollback import load_before, put_back
from hotsync.engine.network.swap import copy_network, digests, swap
from hotsync.engine.network.trial import kept_place
from hotsync.engine.promotion.files import ASIDE, way_station
from hotsync.engine.promotion.prepared_etc import PREPARED
from hotsync.errors import CommandFailed, ConfigError, HotSyncError
from hotsync.model.etc_files import OWN_NETWORK
from hotsync.model.network.trial import NetworkTrial, Why
from hotsync.model.network.values import Address
from hotsync.model.promotion import ETC, Promotion
from hotsync.state import promotion as document
from hotsync.state.network_trial import drop_trial, load_trial, save_trial
from hotsync.state.settings import read_settings
from hotsync.system import command, lock
from hotsync.system.paths import Paths
from hotsync.system.trees import inode, matching

_log = logging.getLogger("hotsync.network")
_SILENT = "With the network as its new files configure it nobody answered. The addresses were put back as they were"
_CHANGED = (
    f"{_SILENT}; the network's files in /etc were changed by somebody meanwhile and stay as they are: look at them "
    "before the next boot."
)
_UNKNOWN = f"{_SILENT}, which lasts until the next boot: look at the network's files in /etc before."


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of it: what is to be said ("": nothing was on trial), and whether the files say all that runs now."""

    said: str = ""
    whole: bool = False


def go_back(paths: Paths, why: Why) -> Returned:
    """Give /etc this server's own network files again, with production's addresses beside its own (without them where
    a person chose its own network)."""
    with _alone(paths):
        promotion, trial = _on_trial(paths)
        if promotion is None or trial is None:
            return Returned()
        if trial.back is not None and trial.done and why is not Why.CHOSEN:
            return Returned()
        etc, own = paths.at("/etc"), _own_etc(paths, promotion)
        system = network_system(own) if own is not None else None
        if own is None or system is None or system.name == esmith.NAME:
            return Returned(_UNKNOWN)
        if (trial.back is None or trial.done) and digests(etc) != trial.files:
            drop_trial(paths)
            return Returned(_CHANGED)
        if trial.back is None:
            copy_network(etc, kept_place(paths, promotion))
        if trial.back is None or why is Why.CHOSEN:
            trial = replace(trial, back=why)
        save_trial(paths, replace(trial, done=False))
        wished = () if trial.back is Why.CHOSEN else promotion.network.addresses
        texts, left = with_addresses(system, own, wished)
        swap(etc, own, texts)
        _label(paths)
        save_trial(paths, replace(trial, files=digests(etc), done=True))
        returned = Returned(_said(paths, promotion, trial.back or why, left), not left)
        _log.warning("%s", returned.said)
        return returned


def settle(paths: Paths) -> str:
    """Before the network is tried: finish what was cut, and let the files that only a boot took back be tried again,
    unless somebody changed what is there since. Return what is to be said."""
    promotion, trial = _on_trial(paths)
    if promotion is None or trial is None or trial.back is None:
        return ""
    if trial.back is not Why.BOOT:
        return go_back(paths, trial.back).said if not trial.done else ""
    with _alone(paths):
        etc = paths.at("/etc")
        if trial.done and digests(etc) != trial.files:
            drop_trial(paths)
            return ""
        save_trial(paths, replace(trial, done=False))
        swap(etc, kept_place(paths, promotion), {})
        _label(paths)
        save_trial(paths, NetworkTrial(trial.epoch, digests(etc)))
    return ""


def is_back(paths: Paths) -> bool:
    """Return whether this server's own network files are in /etc for good."""
    _, trial = _on_trial(paths)
    return trial is not None and trial.done and trial.back is not Why.BOOT


def follow(paths: Paths, before: Before) -> None:
    """Let the network program read the files that came back, so that what did not work is not in its mind any more;
    what it takes away of the running network is put back."""
    etc = paths.at("/etc")
    system = network_system(etc)
    if system is None:
        return
    try:
        system.activate(etc)
    except CommandFailed as error:
        _log.warning("%s", error.sentence)
    for fault in restore(before):
        _log.warning("the network was not wholly put back: %s", fault)
    live.announce(before.addresses)


def network_back(paths: Paths) -> None:
    """What the rollback's timer does: the running network as it was, and then the files that would undo that."""
    before = load_before(paths)
    if not put_back(paths) or before is None:
        return
    returned = go_back(paths, Why.SILENT)
    if returned.said:
        document.add_note(paths, returned.said)
    if returned.whole:
        follow(paths, before)


def at_boot(paths: Paths) -> None:
    """Before any network is up: a boot does not use files with which nobody has ever answered. It never fails."""
    try:
        settings, _ = read_settings(paths)
        if not settings.rollback_seconds or not go_back(paths, Why.BOOT).said:
            return
        system = network_system(paths.at("/etc"))
        if system is not None and system.name == netplan.NAME:
            command.run(["netplan", "generate"])  # it made the other systems' files before any unit started
    except (HotSyncError, OSError) as error:
        _log.warning("the network's files were not put back: %s", error)


def with_addresses(
    system: NetworkSystem, etc: Path, addresses: Iterable[Address]
) -> tuple[dict[str, str], tuple[Address, ...]]:
    """Given an /etc and addresses, return the files of it that give its interfaces these beside their own, and those
    for which it has no interface."""
    wished = tuple(addresses)
    try:
        state = system.read(etc)
        names = [name for each in state.interfaces for name in each.name.split()]  # networkd's may be patterns
        known = {each.address for each in state.addresses}
        here = (each for each in wished if any(fnmatch.fnmatchcase(each.interface, name) for name in names))
        placed = tuple(each for each in here if each.address not in known)
        texts = system.standby(etc, placed, {})
        now = {path: text for path in system.files(etc) if (text := read_text(etc, path)) is not None}
        says = {each.address for each in system.parse({**now, **texts}).addresses}
    except ConfigError as error:
        _log.warning("%s", error.sentence)
        return {}, wished
    return texts, tuple(each for each in wished if each.address not in says)


def _on_trial(paths: Paths) -> tuple[Promotion | None, NetworkTrial | None]:
    """Return the promotion whose /etc is live, with its trial; neither where nothing is on trial."""
    promotion = document.load_promotion(paths)
    if promotion is None or inode(paths.at("/etc")) != promotion.etc_inode:
        return None, None
    return promotion, load_trial(paths, promotion.epoch)


def _said(paths: Paths, promotion: Promotion, why: Why, left: tuple[Address, ...]) -> str:
    kept = f"/{os.fspath(kept_place(paths, promotion).relative_to(paths.root))}"
    match why:
        case Why.CHOSEN:
            return f"This server's own network files are in /etc again; those of the MASTER are kept in {kept}."
        case Why.BOOT:
            said = "This server booted before anybody had answered with the network as its new files configure it."
        case Why.SILENT:
            said = f"{_SILENT}."
    said += (
        " Its own network files are in /etc again, with production's addresses beside its own: a boot has what works "
        f"now. Those that the promotion brought are kept in {kept}."
    )
    if left:
        named = ", ".join(f"{address} on {address.interface}" for address in left)
        said += f" Its own files have no place for {named}: missing after the next boot, until you add it."
    return said


def _own_etc(paths: Paths, promotion: Promotion) -> Path | None:
    """Return what this server had in /etc: where it was set aside, or on its way there."""
    station = paths.root / way_station(promotion.epoch)
    places = (paths.root / PREPARED, paths.state / ASIDE / ETC, station / ASIDE / ETC)
    return next((place for place in places if place.is_dir() and not place.is_symlink()), None)


def _label(paths: Paths) -> None:
    if not selinux.is_enabled(paths):
        return
    etc = paths.at("/etc")
    places = [os.fspath(etc / path) for path in sorted(matching(etc, OWN_NETWORK))]
    if fault := selinux.label(paths, places, paths.root):
        _log.warning("the network's files could not be labelled for SELinux: %s", fault)


def _alone(paths: Paths) -> AbstractContextManager[None]:
    return lock.held(paths.run / "network-files.lock", "change of the network's files", wait=True)
