"""How a host is set: locale, time zone, kernel settings, kernel modules of the firewall; equal unless somebody sets it.

Of kernel settings only those are told that somebody set in a file, or that services are known to depend on: the rest
comes from the size of the machine, and counts by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from hotsync.model.drift_sysctl import WATCHED
from hotsync.model.facts import SysctlFact, SystemFacts
from hotsync.system.paths import Paths

FIREWALL = re.compile(
    r"^(?:nf_|nft_|nfnetlink|x_tables|xt_|ip_?tables|ip6_?tables|ip_set|ipt_|ip6t_|iptable_|arp_?t|ebt|br_netfilter)"
)
_FOLDERS = ("/usr/lib/sysctl.d", "/usr/local/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d")
_OF_UFW = "/etc/ufw/sysctl.conf"
_OF_SHOREWALL = (
    ("/etc/shorewall/shorewall.conf", "net.ipv4.ip_forward"),
    ("/etc/shorewall6/shorewall6.conf", "net.ipv6.conf.all.forwarding"),
)
_KEY = re.compile(r"^-?([A-Za-z0-9_./:@-]+)\s*=")
_LONGEST = 200


def read_system(paths: Paths) -> SystemFacts:
    """Return how this host is set; what cannot be read is left out."""
    named = dict(_named(paths))
    values = read_sysctl(paths, {*WATCHED, *named})
    return SystemFacts(
        locale=_locale(paths),
        timezone=_timezone(paths),
        sysctl=tuple(SysctlFact(key, values[key], named.get(key, "")) for key in sorted(values)),
        modules=tuple(sorted(name for name in loaded_modules(paths) if FIREWALL.match(name))),
    )


def read_sysctl(paths: Paths, keys: Iterable[str]) -> dict[str, str]:
    """Given names of kernel settings, return the values of those that are here; other names are looked up nowhere."""
    wanted, top = frozenset(keys), os.fspath(paths.at("/proc/sys"))
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "binfmt_misc")
        for name in files:
            path = os.path.join(folder, name)
            key = key_of(path[len(top) + 1 :])
            if key in wanted:
                with suppress(OSError):  # some can only be written
                    text = Path(path).read_text("utf-8", "replace")
                    found[key] = " ".join(text.split())[:_LONGEST]
    return found


def key_of(path: str) -> str:
    """Given a path below /proc/sys, return the name of the setting; a dot within a name becomes a slash."""
    return path.translate(str.maketrans("./", "/."))


def parse_sysctl(text: str) -> Iterator[str]:
    """Given a file of kernel settings, return the names that it sets; those with wildcards are left out."""
    for line in text.splitlines():
        if (found := _KEY.match(line.strip())) is None:
            continue
        name = found[1]
        first = next((sign for sign in name if sign in "./"), ".")
        yield name if first == "." else key_of(name)


def _named(paths: Paths) -> Iterator[tuple[str, str]]:
    """Return each setting with the file that sets it, the one that is heard last as last."""
    files: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in paths.at(folder).glob("*.conf"):
            files[path.name] = path
    for path in (*(files[name] for name in sorted(files)), paths.at("/etc/sysctl.conf")):
        with suppress(OSError):
            place = f"/{path.relative_to(paths.root)}"
            yield from ((key, place) for key in parse_sysctl(path.read_text("utf-8", "replace")))
    yield from _of_firewalls(paths)


def _of_firewalls(paths: Paths) -> Iterator[tuple[str, str]]:
    """Return the settings that a firewall's own file sets as it starts."""
    with suppress(OSError):
        if _is_said(paths, "/etc/ufw/ufw.conf", "ENABLED"):
            text = paths.at(_OF_UFW).read_text("utf-8", "replace")
            yield from ((key, _OF_UFW) for key in parse_sysctl(text))
    for file, key in _OF_SHOREWALL:
        with suppress(OSError):
            if _is_said(paths, file, "STARTUP_ENABLED") and _is_said(paths, file, "IP_FORWARDING"):
                yield key, file


def _is_said(paths: Paths, file: str, name: str) -> bool:
    return _assignments(paths.at(file).read_text("utf-8", "replace")).get(name, "").lower() in ("yes", "on")


def loaded_modules(paths: Paths) -> frozenset[str]:
    """Return the kernel modules that are loaded."""
    try:
        lines = paths.at("/proc/modules").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.split()[0] for line in lines if line.strip())


def available_modules(paths: Paths, release: str) -> frozenset[str]:
    """Given the running kernel's release, return the modules that it has, loaded or not, or built in."""
    folder = paths.at("/lib/modules") / release
    found = set(loaded_modules(paths))
    for name in ("modules.dep", "modules.builtin"):
        with suppress(OSError):
            for line in (folder / name).read_text().splitlines():
                file = line.partition(":")[0].rpartition("/")[2]
                found.add(file.partition(".ko")[0].replace("-", "_"))
    return frozenset(found)


def _locale(paths: Paths) -> str:
    for file in ("/etc/locale.conf", "/etc/default/locale"):
        with suppress(OSError):
            said = _assignments(paths.at(file).read_text("utf-8", "replace"))
            if "LANG" in said:
                return said["LANG"]
    return ""


def _assignments(text: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _timezone(paths: Paths) -> str:
    with suppress(OSError):
        if zone := os.readlink(paths.at("/etc/localtime")).partition("zoneinfo/")[2]:
            return zone
    with suppress(OSError):
        return paths.at("/etc/timezone").read_text("utf-8", "replace").strip()
    return ""
