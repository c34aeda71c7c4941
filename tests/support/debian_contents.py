"""Writes tests/tables/debian/bookworm.json anew: units, jobs, settings of Debian's packages that profiles name.

By hand, on Debian 12 with network, after a profile got another package: python -m tests.support.debian_contents
apt fetches the lists of contents into a folder of their own; the system's stay as they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hotsync.backends.package_files import with_siblings
from hotsync.profiles.catalog import shipped

FACTS = Path(__file__).resolve().parents[1] / "tables/debian/bookworm.json"
TARGETS = """Acquire::IndexTargets::deb::Contents-deb {
    MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; ShortDescription "Contents";
    Description "$(RELEASE)/$(COMPONENT) Contents"; KeepCompressed "true"; DefaultEnabled "true"; Identifier "Contents";
};
"""
ALSO = frozenset((
    "clamav-unofficial-sigs", "containerd", "cups-browsed", "dbus", "php-common", "postgresql-common",
    "redis-sentinel", "winbind",
))  # fmt: skip
"""Packages that bring units or jobs that profiles name, and that tell of no application by themselves."""

_UNIT = re.compile(r"^(?:usr/)?lib/systemd/system/([^/]+\.(?:service|socket|timer|path|target))$")
_JOB = re.compile(r"^etc/cron\.(?:d|hourly|daily|weekly|monthly)/[^/.]+$")


def fetched(folder: Path) -> list[Path]:
    """Given a folder, let apt fetch the lists into it; return those of Debian itself."""
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "apt.conf").write_text(TARGETS)
    update = ["apt-get", "-c", str(folder / "apt.conf"), "-o", f"Dir::State::lists={folder}", "update"]
    subprocess.run(update, check=True, stdout=sys.stderr)
    return sorted(path for path in folder.glob("*_debian_dists_bookworm*_main_*") if path.is_file())


def lines(path: Path) -> Iterator[str]:
    """Given a list as apt keeps it, yield its lines."""
    done = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(path)], check=True, stdout=subprocess.PIPE)
    yield from done.stdout.decode("utf-8", "replace").splitlines()


def facts(lists: list[Path], named: set[str]) -> dict[str, dict[str, list[str]]]:
    """Given the lists and the packages that profiles name, return what those that exist bring."""
    known: dict[str, dict[str, str]] = {}
    for path in lists:
        for stanza in "\n".join(lines(path)).split("\n\n") if "_Packages" in path.name else ():
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
            if "Package" in fields:
                known[fields["Package"]] = fields
    groups = {name: with_siblings(known, [name]) for name in sorted(named & known.keys())}
    wanted = set().union(*groups.values())
    brought: dict[str, set[str]] = defaultdict(set)
    for path in lists:
        for line in lines(path) if "_Contents-" in path.name else ():
            file, _, owners = line.rpartition(" ")
            for owner in owners.split(","):
                if (name := owner.rpartition("/")[2]) in wanted:
                    brought[name].add(file.rstrip())
    return {name: _sorted(set().union(*(brought[one] for one in group))) for name, group in groups.items()}


def _sorted(files: set[str]) -> dict[str, list[str]]:
    units = {found[1] for file in files if (found := _UNIT.match(file))}
    units |= {f"{file.removeprefix('etc/init.d/')}.service" for file in files if file.startswith("etc/init.d/")}
    jobs = {f"/{file}" for file in files if _JOB.match(file)}
    settings = {"/" + "/".join(file.split("/")[:2]) for file in files if file.startswith("etc/")}
    own = {path for path in settings if path.rpartition("/")[2] not in _SHARED and not path.startswith("/etc/cron.")}
    return {"units": sorted(units), "jobs": sorted(jobs), "settings": sorted(own)}


_SHARED = frozenset((
    "apparmor.d", "avahi", "bash_completion.d", "dbus-1", "default", "init", "init.d", "insserv.conf.d", "logcheck",
    "logrotate.d", "modprobe.d", "modules-load.d", "monit", "network", "pam.d", "ppp", "profile.d", "resolvconf",
    "rsyslog.d", "security", "sudoers.d", "sv", "sysctl.d", "ufw", "update-motd.d", "xdg",
))  # fmt: skip
"""Folders of /etc into which many packages put a file."""


def main() -> None:
    """Write the file."""
    named = {name for profile in shipped().values() for name in profile.detect.debian} | ALSO
    with tempfile.TemporaryDirectory() as folder:
        found = facts(fetched(Path(folder)), named)
    FACTS.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(brought)}" for name, brought in found.items())
    FACTS.write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    main()
