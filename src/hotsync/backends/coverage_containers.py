"""The containers of this host, from what Docker and Podman keep of them: no daemon needs to answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from hotsync.model.accounts.moves import parse_users
from hotsync.model.coverage.containers import ContainerSeen
from hotsync.system.files import read_small

_DOCKER, _OWN_DOCKER = "var/lib/docker", ".local/share/docker"
_PODMAN, _OWN_PODMAN = "var/lib/containers/storage", ".local/share/containers/storage"
"""What root's engine keeps, below the root, and a person's, below his home."""

_PROJECT = "com.docker.compose.project.config_files"
_FOLDER = "com.docker.compose.project.working_dir"
_PODMAN_FILES, _PODMAN_FOLDER = "io.podman.compose.config_files", "io.podman.compose.working_dir"
_UNIT = "PODMAN_SYSTEMD_UNIT"
_LARGEST = 4 * 1024 * 1024

_Table = Mapping[str, object]


def read_containers(root: Path) -> list[ContainerSeen]:
    """Return the containers that this root's Docker and Podman keep, and those of its people, running or not."""
    found = [*_docker(root / _DOCKER), *_podman(root / _PODMAN)]
    for home, person in _homes(root):
        found += [*_docker(home / _OWN_DOCKER, person), *_podman(home / _OWN_PODMAN, person)]
    return found


def _homes(root: Path) -> Iterator[tuple[Path, str]]:
    """Return homes with whose they are: of passwd, and in /home, as a directory's people are not in passwd."""
    passwd = read_small(root / "etc/passwd").decode("utf-8", "surrogateescape")
    users = (user for user in parse_users(passwd).values() if user.number and user.home.strip("/"))
    homes = [(root / user.home.lstrip("/"), user.name) for user in users]
    known: set[str] = set()
    for home, person in (*homes, *((home, home.name) for home in _folders(root / "home"))):
        if (real := os.path.realpath(home)) not in known:
            known.add(real)
            yield home, person


def _docker(storage: Path, person: str = "") -> Iterator[ContainerSeen]:
    for folder in _folders(storage / "containers"):
        kept = _document(folder / "config.v2.json")
        name = str(kept.get("Name", "")).lstrip("/")
        if not name or not name.isprintable():
            continue
        config = _table(kept.get("Config"))
        mounts = [_table(mount) for mount in _table(kept.get("MountPoints")).values()]
        labels = _table(config.get("Labels"))
        sources = (str(mount.get("Source", "")) for mount in mounts)
        image, unit = str(config.get("Image", "")), str(labels.get(_UNIT, ""))
        yield ContainerSeen("docker", name, image, _paths(sources), _files(labels), unit, person)


def _podman(storage: Path, person: str = "") -> Iterator[ContainerSeen]:
    """Return the containers of a storage, whose folder has the name of its driver (overlay, vfs, btrfs, zfs)."""
    for folder in (each for each in _folders(storage) if each.name.endswith("-containers")):
        yield from _listed(folder, person)


def _listed(storage: Path, person: str) -> Iterator[ContainerSeen]:
    for listed in _list(_load(storage / "containers.json")):
        entry = _table(listed)
        meta = _table(_loads(str(entry.get("metadata", ""))))
        name = str(meta.get("name") or next(iter(_list(entry.get("names"))), ""))
        number = str(entry.get("id", ""))
        if not name or not name.isprintable() or not number.isalnum():
            continue
        spec = _document(storage / number / "userdata" / "config.json")
        labels = _table(spec.get("annotations"))
        mounts = [_table(mount) for mount in _list(spec.get("mounts"))]
        bound = (str(mount.get("source", "")) for mount in mounts if mount.get("type") == "bind")
        unit = str(labels.get(_UNIT, "")) or _environment(spec).get(_UNIT, "")
        image = str(meta.get("image-name", ""))
        yield ContainerSeen("podman", name, image, _paths(_kept_elsewhere(bound)), _files(labels), unit, person)


def _kept_elsewhere(sources: Iterator[str]) -> Iterator[str]:
    """Return what is mounted without what the engine makes for each container (its host name, its resolv.conf)."""
    return (path for path in sources if "/userdata/" not in path)


def _environment(spec: _Table) -> dict[str, str]:
    words = (str(word) for word in _list(_table(spec.get("process")).get("env")))
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _files(labels: _Table) -> tuple[str, ...]:
    """Given the labels of a container, return the files of the compose project that made it."""
    named = str(labels.get(_PROJECT) or labels.get(_PODMAN_FILES) or "")
    folder = str(labels.get(_FOLDER) or labels.get(_PODMAN_FOLDER) or "/")
    return _paths(os.path.normpath(os.path.join(folder, name)) for name in named.split(",") if name)


def _paths(said: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in said if path.startswith("/")))


def _folders(place: Path) -> Iterator[Path]:
    with suppress(OSError):
        for folder in sorted(place.iterdir()):
            if folder.is_dir() and not folder.is_symlink():
                yield folder


def _load(path: Path) -> object:
    """Return what a plain file says: in somebody's home anything may lie there."""
    return _loads(read_small(path, most=_LARGEST).decode("utf-8", "replace"))


def _loads(text: str) -> object:
    try:
        return cast(object, json.loads(text))
    except (ValueError, RecursionError):
        return None


def _document(path: Path) -> _Table:
    return _table(_load(path))


def _table(value: object) -> _Table:
    return cast("_Table", value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else ()
