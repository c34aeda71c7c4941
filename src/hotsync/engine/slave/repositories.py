"""The MASTER's repositories and keys, as the replica has them; taken over only when an administrator said so."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hotsync.backends.packages import detect
from hotsync.engine.slave import repositories_apt, repositories_dnf
from hotsync.engine.slave.repository_offer import Offer
from hotsync.state.repositories import load_accepted, save_accepted
from hotsync.system import files
from hotsync.system.paths import Paths


class _Family(Protocol):
    """What a family's room offers; the modules themselves are the values."""

    KEYRINGS: str

    def read(self, tree: Path, root: Path) -> Offer:
        """Given the replica's tree and this host's root, return what of the MASTER's this host does not have."""
        ...

    def render(self, offer: Offer) -> dict[str, bytes]:
        """Given an offer, return our own files of it by their places; an empty one is not to be there."""
        ...


def _family(paths: Paths) -> _Family:
    return repositories_dnf if detect.has_rpms(paths) else repositories_apt


def read_offer(paths: Paths) -> Offer:
    """Return what of the MASTER's repositories this host does not have."""
    tree = paths.replica / "tree"
    return (
        repositories_dnf.read(tree, paths.root) if detect.has_rpms(paths) else repositories_apt.read(tree, paths.root)
    )


def accept(paths: Paths, offer: Offer, now: float) -> None:
    """Take an offer over: its keyrings first, then source files of our own; done again, the same comes out."""
    family = _family(paths)
    folder = paths.at(family.KEYRINGS)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for keyring in offer.keyrings:
        files.write_atomic(paths.at(keyring.place), keyring.content)
    for place, content in family.render(offer).items():
        if content:
            paths.at(place).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write_atomic(paths.at(place), content)
        else:
            paths.at(place).unlink(missing_ok=True)  # of an offer that this one replaces
    save_accepted(paths, offer.digest, now)
    wanted = {paths.at(keyring.place).name for keyring in offer.keyrings}
    for old in folder.glob("hotsync-*"):
        if old.name not in wanted:
            old.unlink()  # of an offer that this one replaces


def unsettled(paths: Paths, offer: Offer, packages_missing: bool) -> str:
    """Given an offer, return what a person must know of it: it changed since it was accepted, or it is needed."""
    accepted = load_accepted(paths)
    if accepted and accepted != offer.digest:
        what = "the MASTER's repositories, their keys or its pins"
        return f"{what} are not those any more that were accepted; these are kept"
    if not accepted and offer.repositories and packages_missing:
        count = len(offer.repositories)
        return f"packages are missing, and the MASTER uses {count} repositories that this server does not have"
    return ""
