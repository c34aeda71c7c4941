"""Whether a promoted server can look names up: /etc/resolv.conf is often a link to what one program makes in /run."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from hotsync.model.facts import NetworkFacts
from hotsync.model.network.resolver import RESOLVER, check_resolver, plain_text, servers_for
from hotsync.model.promotion import ETC
from hotsync.model.report import Check
from hotsync.sources.facts import parse_resolver
from hotsync.system.paths import Paths
from hotsync.system.trees import opened


def resolver_files(paths: Paths, part: Path, told: NetworkFacts) -> dict[str, str]:
    """Given the folder that will be /etc and what the MASTER told of its network, return the plain file that stands
    there in place of a link that would lead nowhere; none where there is no such link, or no name server is known."""
    target, servers = _leads_nowhere(paths, part.parent), servers_for(told.dns, own_name_servers(paths))
    return {RESOLVER: plain_text(target, servers, told.domains)} if target and servers else {}


def read_resolver_check(paths: Paths, told: NetworkFacts) -> Check:
    """Given what the MASTER told of its network, return whether this server could look names up once it is promoted."""
    return check_resolver(_leads_nowhere(paths, paths.replica / "tree"), servers_for(told.dns, own_name_servers(paths)))


def _leads_nowhere(paths: Paths, folder: Path) -> str:
    """Given the folder that the MASTER's /etc lies in, return where its link leads if nothing is there; else "".

    What counts is whether it is there now: a program that is installed and does not run makes no file either.
    """
    try:
        with opened(folder, ETC) as etc:
            target = os.readlink(RESOLVER, dir_fd=etc)
    except OSError:
        return ""  # a plain file, or none: a boot finds what the MASTER's would
    place = posixpath.normpath(posixpath.join(f"/{ETC}", target))
    inside = place.startswith(f"/{ETC}/")
    here = folder / place[1:] if inside else paths.at(place)
    return "" if os.path.lexists(here) else target


def own_name_servers(paths: Paths) -> tuple[str, ...]:
    """Return the name servers that this server asks now: behind systemd-resolved, those that it asks."""
    for place in (f"/{ETC}/{RESOLVER}", "/run/systemd/resolve/resolv.conf"):
        try:
            servers, _ = parse_resolver(paths.at(place).read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            continue
        if found := servers_for(servers, ()):
            return found
    return ()
