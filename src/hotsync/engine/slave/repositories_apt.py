"""The MASTER's repositories and pins on Debian's family, as the replica has them, and what is written of them here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.backends.keyrings import read_keys
from hotsync.engine.replica_tree import names_in, read_plain
from hotsync.engine.slave.repository_offer import LARGEST_KEYRING, Keyring, Offer, digest_of
from hotsync.model.packages.pins import Pin, new_pins, parse_preferences, render_preferences
from hotsync.model.packages.repositories import (
    LARGEST,
    Refusal,
    Repository,
    new_here,
    parse_deb822,
    parse_list,
    render_list,
)

SOURCE_FILE = "/etc/apt/sources.list.d/hotsync-master.list"
PINS_FILE = "/etc/apt/preferences.d/hotsync-master.pref"
KEYRINGS: str = "/etc/apt/keyrings"
_TRUST = "etc/apt/trusted.gpg.d"


def read(tree: Path, root: Path) -> Offer:
    """Given the replica's tree and this host's root, return what of the MASTER's this host does not have."""
    return _Reader(tree, root).offer()


def render(offer: Offer) -> dict[str, bytes]:
    """Given an offer, return our own files of it by their places; an empty one is not to be there."""
    listed = [(each, keys) for each, keys in offer.with_places() if isinstance(each, Repository)]
    pins = render_preferences(offer.pins).encode() if offer.pins else b""
    return {SOURCE_FILE: render_list(listed).encode(), PINS_FILE: pins}


@dataclass(slots=True)
class _Reader:
    tree: Path
    root: Path
    refused: list[Refusal] = field(default_factory=list[Refusal])

    def offer(self) -> Offer:
        own = [each for path in _source_files(self.root) for each in self._parse(self.root, path)[0]]
        found: list[Repository] = []
        for path in _source_files(self.tree):
            repositories, refused = self._parse(self.tree, path)
            found += repositories
            self.refused += refused
        offered = [(each, keys) for each in new_here(found, own) if (keys := self._keyrings(each)) is not None]
        pins = new_pins(self._pins(self.tree, self.refused), self._pins(self.root, []))
        return Offer(tuple(offered), tuple(self.refused), digest_of(offered, pins), pins)

    def _pins(self, root: Path, refused: list[Refusal]) -> list[Pin]:
        found: list[Pin] = []
        for path in _preference_files(root):
            pins, not_taken = parse_preferences((read_plain(root, path, LARGEST) or b"").decode("utf-8", "replace"))
            found += pins
            refused += not_taken
        return found

    def _parse(self, root: Path, path: str) -> tuple[list[Repository], list[Refusal]]:
        text = (read_plain(root, path, LARGEST) or b"").decode("utf-8", "replace")
        return parse_deb822(text) if path.endswith(".sources") else parse_list(text)

    def _keyrings(self, repository: Repository) -> tuple[Keyring, ...] | None:
        """Return the keys that the MASTER trusts a repository by, or None (and a refusal) if they cannot be had."""
        if repository.has_inline_key:
            content = repository.keyring.encode()
            return (Keyring("in the source file", content, tuple(read_keys(content)), KEYRINGS),)
        if not repository.keyring:
            names = [f"{_TRUST}/{name}" for name in names_in(self.tree, _TRUST) if name.endswith((".gpg", ".asc"))]
            return tuple(keyring for name in [*names, "etc/apt/trusted.gpg"] if (keyring := self._keyring(name)))
        # /usr is not carried; what the distribution's own keyring package brings may be here all the same
        name = repository.keyring.lstrip("/")
        keyring = self._keyring(name) or (self._keyring(name, own=True) if name.startswith("usr/") else None)
        if keyring is None:
            shown = f"{repository.uri} {repository.suite}"
            reason = f"its keys {repository.keyring} are not carried; put them into /etc/apt/keyrings on the MASTER"

            self.refused.append(Refusal(shown, reason))
            return None
        return (keyring,)

    def _keyring(self, name: str, *, own: bool = False) -> Keyring | None:
        content = read_plain(self.root if own else self.tree, name, LARGEST_KEYRING)
        return Keyring(f"/{name}", content, tuple(read_keys(content)), KEYRINGS) if content else None


def _source_files(root: Path) -> Iterator[str]:
    yield "etc/apt/sources.list"
    for name in names_in(root, "etc/apt/sources.list.d"):
        if name.endswith((".list", ".sources")) and f"/etc/apt/sources.list.d/{name}" != SOURCE_FILE:
            yield f"etc/apt/sources.list.d/{name}"


def _preference_files(root: Path) -> Iterator[str]:
    yield "etc/apt/preferences"
    for name in names_in(root, "etc/apt/preferences.d"):
        # as apt reads them: without an ending, or with its own
        if name.endswith(".pref") or "." not in name:
            path = f"etc/apt/preferences.d/{name}"
            if f"/{path}" != PINS_FILE:
                yield path
