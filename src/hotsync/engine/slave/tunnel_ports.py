"""Where the MASTER's WireGuard listens: the kernel holds these sockets, so that no process leads to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.engine.replica_tree import names_in, read_plain
from hotsync.system.paths import Paths

_FOLDERS = ("etc/wireguard", "etc/systemd/network", "etc/NetworkManager/system-connections")
_LISTENS = re.compile(rb"^[ \t]*listen-?port[ \t]*=[ \t]*([0-9]{1,5})\b", re.IGNORECASE | re.MULTILINE)
_LARGEST = 1024 * 1024


def ports_of_tunnels(paths: Paths) -> frozenset[int]:
    """Return the ports of the MASTER's tunnels, without those of tunnels that this server has of its own."""
    tree = paths.replica / "tree"
    theirs = dict(_files(tree))
    own = (content for path, content in _files(paths.root) if theirs.get(path) != content)
    return _ports(theirs.values()) - _ports(own)


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for folder in _FOLDERS:
        for path in (f"{folder}/{name}" for name in names_in(root, folder)):
            if content := read_plain(root, path, _LARGEST):
                yield path, content


def _ports(files: Iterable[bytes]) -> frozenset[int]:
    return frozenset(int(port) for content in files for port in _LISTENS.findall(content))
