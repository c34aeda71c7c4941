"""Which paths of a package are units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_UNIT_FILE = re.compile(r"(?:/usr)?/(?:lib|etc)/systemd/system/([^/]+\.(?:service|socket|timer|path))$")
_INIT_SCRIPT = re.compile(r"/etc/(?:rc\.d/)?init\.d/([^/]+)$")


def units_in(paths: Iterable[str]) -> Iterator[str]:
    """Given paths of a package, return the units that they are, those of init scripts included."""
    for path in paths:
        if found := _UNIT_FILE.match(path):
            yield found[1]
        elif found := _INIT_SCRIPT.match(path):
            yield f"{found[1]}.service"
