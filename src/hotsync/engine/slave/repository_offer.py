"""What of the MASTER's repositories an administrator is shown, whatever the family: places, keys, pins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotsync.model.packages.pins import Pin
from hotsync.model.packages.repositories import Refusal, Repository
from hotsync.model.packages.rpm_repositories import RpmRepository

LARGEST_KEYRING = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys of the MASTER: where they lie there, what they are, who they say they belong to, and the folder of this host
    that they are put into."""

    name: str
    content: bytes
    keys: tuple[str, ...]
    folder: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def place(self) -> str:
        """Return where it is put on this host: a name of our own, so that no keyring of this host is replaced."""
        ending = "asc" if self.content.lstrip().startswith(b"-----BEGIN") else "gpg"
        return f"{self.folder}/hotsync-{self.digest[:16]}.{ending}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What of the MASTER's repositories this host does not have, with exactly the keys that they are trusted by, and
    its pins, which say what is preferred of them.

    `digest` is that of everything an administrator is shown.
    """

    repositories: tuple[tuple[Repository | RpmRepository, tuple[Keyring, ...]], ...] = ()
    refused: tuple[Refusal, ...] = ()
    digest: str = ""
    pins: tuple[Pin, ...] = ()

    @property
    def keyrings(self) -> tuple[Keyring, ...]:
        """Return every keyring of it, once."""
        found = {keyring.place: keyring for _, keyrings in self.repositories for keyring in keyrings}
        return tuple(found.values())

    def with_places(self) -> Iterator[tuple[Repository | RpmRepository, tuple[str, ...]]]:
        """Return each repository with where its keys are put on this host."""
        for repository, keyrings in self.repositories:
            yield repository, tuple(keyring.place for keyring in keyrings)


def digest_of(
    offered: Sequence[tuple[Repository | RpmRepository, tuple[Keyring, ...]]], pins: Sequence[Pin] = ()
) -> str:
    """Given what is offered, return its digest, "" if that is nothing."""
    if not (offered or pins):
        return ""
    shown = repr([(each, [keyring.digest for keyring in keys]) for each, keys in offered])
    shown += repr(tuple(pins)) if pins else ""
    return hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()
