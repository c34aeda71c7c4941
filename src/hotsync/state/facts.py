"""The MASTER's facts as documents: one file a topic in the spool, `schema` first, read without trust."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ReplicaError
from hotsync.model.facts import (
    AccountFact,
    GroupFact,
    GuardFacts,
    MasterFacts,
    MountFact,
    NetworkFacts,
    PackageFact,
    QuotaFact,
    ShareFact,
    StreamFact,
    SystemFacts,
    UnitFact,
)
from hotsync.system.trees import opened

SCHEMA = 1
SPOOL_IN_TREE = "var/lib/hotsync/spool"
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Head:
    schema: int


@dataclass(frozen=True, slots=True)
class _Packages:
    packages: tuple[PackageFact, ...]
    streams: tuple[StreamFact, ...] = ()


@dataclass(frozen=True, slots=True)
class _Accounts:
    users: tuple[AccountFact, ...]
    groups: tuple[GroupFact, ...]


@dataclass(frozen=True, slots=True)
class _Units:
    units: tuple[UnitFact, ...]


@dataclass(frozen=True, slots=True)
class _Network:
    network: NetworkFacts


@dataclass(frozen=True, slots=True)
class _Mounts:
    mounts: tuple[MountFact, ...]
    shares: tuple[ShareFact, ...] = ()


@dataclass(frozen=True, slots=True)
class _System:
    system: SystemFacts


@dataclass(frozen=True, slots=True)
class _Quotas:
    quotas: tuple[QuotaFact, ...]


@dataclass(frozen=True, slots=True)
class _Guard:
    guard: GuardFacts


_Document = _Packages | _Accounts | _Units | _Network | _Mounts | _System | _Quotas | _Guard
_T = TypeVar("_T", _Packages, _Accounts, _Units, _Network, _Mounts, _System, _Quotas, _Guard)


def render_facts(facts: MasterFacts) -> dict[str, bytes]:
    """Given facts, return the documents: file name -> content."""
    parts: dict[str, _Document] = {
        "packages.json": _Packages(facts.packages, facts.streams),
        "accounts.json": _Accounts(facts.users, facts.groups),
        "units.json": _Units(facts.units),
        "network.json": _Network(facts.network),
        "mounts.json": _Mounts(facts.mounts, facts.shares),
        "system.json": _System(facts.system),
        "quotas.json": _Quotas(facts.quotas),
        "selinux.json": _Guard(facts.guard),
    }
    return {name: _render(part) for name, part in parts.items()}


def _render(part: _Document) -> bytes:
    """Return a document, a line for each thing in a list: so the encoder of C does it, in a tenth of the time."""
    pieces: list[str] = []
    for name, value in {"schema": SCHEMA, **_plain(part)}.items():
        if isinstance(value, tuple) and value:
            things = cast(tuple[object, ...], value)
            pieces.append(f'"{name}": [\n' + ",\n".join(map(_encode, things)) + "\n]")
        else:
            pieces.append(f'"{name}": {_encode(value)}')
    return ("{" + ",\n".join(pieces) + "}\n").encode("ascii")


def _plain(value: object) -> dict[str, object]:
    """Return a dataclass as a dictionary, one storey deep."""
    assert is_dataclass(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


_encode = json.JSONEncoder(default=_plain).encode


def load_facts(folder: Path) -> MasterFacts:
    """Given a spool or a replica's tree, return the facts in it; what is not there is empty.

    Raise ReplicaError if a document is malformed, larger than sense, or of a newer HotSync.
    """
    place = f"{SPOOL_IN_TREE}/facts" if (folder / SPOOL_IN_TREE).is_dir() else "facts"
    accounts = _load(folder, f"{place}/accounts.json", _Accounts) or _Accounts((), ())
    packages = _load(folder, f"{place}/packages.json", _Packages)
    units = _load(folder, f"{place}/units.json", _Units)
    network = _load(folder, f"{place}/network.json", _Network)
    mounts = _load(folder, f"{place}/mounts.json", _Mounts)
    system = _load(folder, f"{place}/system.json", _System)
    quotas = _load(folder, f"{place}/quotas.json", _Quotas)
    guard = _load(folder, f"{place}/selinux.json", _Guard)
    return MasterFacts(
        packages=packages.packages if packages else (),
        users=accounts.users,
        groups=accounts.groups,
        units=units.units if units else (),
        network=network.network if network else NetworkFacts(),
        mounts=mounts.mounts if mounts else (),
        system=system.system if system else SystemFacts(),
        quotas=quotas.quotas if quotas else (),
        streams=packages.streams if packages else (),
        guard=guard.guard if guard else GuardFacts(),
        shares=mounts.shares if mounts else (),
    )


def read_document(folder: Path, name: str) -> bytes | None:
    """Given a spool or a replica's tree, return a document in it, None if it is not there; raise ReplicaError."""
    path = folder / name
    try:
        # a replica's tree is the MASTER's: no link in it may lead to a file of this server
        with opened(folder, name, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                raise ReplicaError(reason=f"{path} is no document of HotSync's")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ReplicaError(reason=f"{path} cannot be read: {error.strerror}") from error


def _load(folder: Path, name: str, kind: type[_T]) -> _T | None:
    path, data = folder / name, read_document(folder, name)
    if data is None:
        return None
    try:
        if TypeAdapter(_Head).validate_json(data).schema > SCHEMA:
            raise ReplicaError(
                reason=f"{path} was written by a newer HotSync",
                hint="Install the same HotSync version on both servers.",
            )
        return TypeAdapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its beginning"
        raise ReplicaError(reason=f"{path} is malformed at {where}: {first['msg']}") from error
