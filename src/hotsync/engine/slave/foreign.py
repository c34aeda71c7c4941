"""Which numbers mean somebody on the MASTER without an account there, as the replica tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from hotsync.engine.replica_tree import read_text
from hotsync.manifest.store import Manifest
from hotsync.model.accounts.foreign import foreign_numbers, ranges_of_samba, ranges_of_sssd
from hotsync.model.accounts.moves import Account
from hotsync.model.accounts.numbers import Foreign
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Owners:
    """Who owns what the manifest has, as of a generation."""

    schema: int = SCHEMA
    digest: str = ""
    users: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()


_OWNERS = TypeAdapter(_Owners)


def read_foreign(paths: Paths, users: Mapping[str, Account], groups: Mapping[str, Account], *, look: bool) -> Foreign:
    """Given the MASTER's accounts, return the numbers that others have there.

    The manifest is read once a generation, and only with `look`; without it, what was read last counts: a promotion
    does not wait for a look at every path.
    """
    tree = paths.replica / "tree"
    ranges = (
        *ranges_of_samba(read_text(tree, "etc/samba/smb.conf")), *ranges_of_sssd(read_text(tree, "etc/sssd/sssd.conf")),
    )  # fmt: skip
    owners = _read_owners(paths, look=look)
    known = {each.number for each in users.values()}, {each.number for each in groups.values()}
    return foreign_numbers(ranges, (owners.users, owners.groups), known)


def _read_owners(paths: Paths, *, look: bool) -> _Owners:
    place = paths.state / "owners.json"
    try:
        last = _OWNERS.validate_json(place.read_bytes())
    except (FileNotFoundError, ValidationError):
        last = _Owners()
    if not look or not paths.manifest.exists():
        return last
    with Manifest(paths.manifest) as manifest:
        if last.schema == SCHEMA and last.digest == manifest.digest:
            return last
        users, groups = manifest.owners()
        found = _Owners(SCHEMA, manifest.digest, tuple(sorted(users)), tuple(sorted(groups)))
    write_atomic(place, json.dumps(_OWNERS.dump_python(found, mode="json")).encode() + b"\n", mode=0o600)
    return found
