"""The MASTER's repositories on Red Hat's family, as the replica has them, and what is written of them here."""

from __future__ import annotations

from pathlib import Path

from hotsync.backends.keyrings import read_keys
from hotsync.engine.replica_tree import names_in, read_plain
from hotsync.engine.slave.repository_offer import LARGEST_KEYRING, Keyring, Offer, digest_of
from hotsync.model.packages.repositories import LARGEST, Refusal
from hotsync.model.packages.rpm_repositories import VARIABLES, RpmRepository, new_repositories, parse_repo, render_repo

SOURCE_FILE = "/etc/yum.repos.d/hotsync-master.repo"
KEYRINGS: str = "/etc/pki/rpm-gpg"
_FOLDER = "etc/yum.repos.d"


def read(tree: Path, root: Path) -> Offer:
    """Given the replica's tree and this host's root, return what of the MASTER's this host does not have."""
    known = VARIABLES | {name for folder in ("etc/dnf/vars", "etc/yum/vars") for name in names_in(root, folder)}
    own, _ = _parse(root, known)
    found, refused = _parse(tree, known)
    offered: list[tuple[RpmRepository, tuple[Keyring, ...]]] = []
    for repository in new_repositories(found, own):
        keyrings = [_keyring(tree, name) for name in repository.keys]
        if None in keyrings:
            refused.append(Refusal(repository.shown[:200], f"its keys are not in {KEYRINGS} of the MASTER"))
        else:
            offered.append((repository, tuple(each for each in keyrings if each)))
    return Offer(tuple(offered), tuple(refused), digest_of(offered))


def render(offer: Offer) -> dict[str, bytes]:
    """Given an offer, return our own file of it by its place."""
    listed = [(each, keys) for each, keys in offer.with_places() if isinstance(each, RpmRepository)]
    return {SOURCE_FILE: render_repo(listed).encode()}


def _parse(root: Path, known: frozenset[str]) -> tuple[list[RpmRepository], list[Refusal]]:
    found: list[RpmRepository] = []
    refused: list[Refusal] = []
    for name in names_in(root, _FOLDER):
        if name.endswith(".repo") and f"/{_FOLDER}/{name}" != SOURCE_FILE:
            text = (read_plain(root, f"{_FOLDER}/{name}", LARGEST) or b"").decode("utf-8", "replace")
            repositories, not_taken = parse_repo(text, known)
            found += repositories
            refused += not_taken
    return found, refused


def _keyring(tree: Path, name: str) -> Keyring | None:
    content = read_plain(tree, f"{KEYRINGS[1:]}/{name}", LARGEST_KEYRING)
    return Keyring(f"{KEYRINGS}/{name}", content, tuple(read_keys(content)), KEYRINGS) if content else None
