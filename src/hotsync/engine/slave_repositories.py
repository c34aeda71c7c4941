"""The MASTER's repositories and keys, as the replica has them; taken over only when an administrator said so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.backends.keyrings import read_keys
from hotsync.engine.replica_tree import names_in, read_plain
from hotsync.model.pins import Pin, new_pins, parse_preferences, render_preferences
from hotsync.model.repositories import (
    LARGEST,
    Refusal,
    Repository,
    new_here,
    parse_deb822,
    parse_list,
    render_list,
)
from hotsync.state.repositories import load_accepted, save_accepted
from hotsync.system import files
from hotsync.system.paths import Paths

SOURCE_FILE = "/etc/apt/sources.list.d/hotsync-master.list"
PINS_FILE = "/etc/apt/preferences.d/hotsync-master.pref"
_KEYRINGS = "/etc/apt/keyrings"
_TRUST = "etc/apt/trusted.gpg.d"
_LARGEST_KEYRING = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys of the MASTER: where they lie there, what they are, and who they say they belong to."""

    name: str
    content: bytes
    keys: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def place(self) -> str:
        """Return where it is put on this host: a name of our own, so that no keyring of this host is replaced."""
        ending = "asc" if self.content.lstrip().startswith(b"-----BEGIN") else "gpg"
        return f"{_KEYRINGS}/hotsync-{self.digest[:16]}.{ending}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What of the MASTER's repositories this host does not have, with exactly the keys that they are trusted by, and
    its pins, which say what is preferred of them.

    `digest` is that of everything an administrator is shown.
    """

    repositories: tuple[tuple[Repository, tuple[Keyring, ...]], ...] = ()
    refused: tuple[Refusal, ...] = ()
    digest: str = ""
    pins: tuple[Pin, ...] = ()

    @property
    def keyrings(self) -> tuple[Keyring, ...]:
        """Return every keyring of it, once."""
        found = {keyring.place: keyring for _, keyrings in self.repositories for keyring in keyrings}
        return tuple(found.values())


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
        shown = repr([(each, [keyring.digest for keyring in keys]) for each, keys in offered])
        shown += repr(pins) if pins else ""
        digest = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest() if offered or pins else ""
        return Offer(tuple(offered), tuple(self.refused), digest, pins)

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
            return (Keyring("in the source file", content, tuple(read_keys(content))),)
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
        content = read_plain(self.root if own else self.tree, name, _LARGEST_KEYRING)
        return Keyring(f"/{name}", content, tuple(read_keys(content))) if content else None


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


def read_offer(paths: Paths) -> Offer:
    """Return what of the MASTER's repositories this host does not have."""
    return _Reader(paths.replica / "tree", paths.root).offer()


def accept(paths: Paths, offer: Offer, now: float) -> None:
    """Take an offer over: its keyrings first, then one source file of our own; done again, the same comes out."""
    folder = paths.at(_KEYRINGS)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for keyring in offer.keyrings:
        files.write_atomic(paths.at(keyring.place), keyring.content)
    listed = [(each, tuple(keyring.place for keyring in keyrings)) for each, keyrings in offer.repositories]
    files.write_atomic(paths.at(SOURCE_FILE), render_list(listed).encode())
    if offer.pins:
        paths.at(PINS_FILE).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(paths.at(PINS_FILE), render_preferences(offer.pins).encode())
    else:
        paths.at(PINS_FILE).unlink(missing_ok=True)  # of an offer that this one replaces
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
