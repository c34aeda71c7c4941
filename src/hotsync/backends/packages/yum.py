"""yum 3 (CentOS 7, NethServer 7), where there is no dnf: the same behind other words.

Written from yum's and yum-utils' own manuals and source; no yum 3 has ever run it (docs/nethserver.md).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from hotsync.backends.packages import rpm_state, rpm_text, yum_text
from hotsync.backends.packages.dnf import Dnf
from hotsync.backends.packages.kept import lay_beside
from hotsync.backends.packages.unpacking import SECONDS as UNPACKING_SECONDS
from hotsync.backends.packages.unpacking import under_way
from hotsync.errors import CommandFailed
from hotsync.model.packages.values import Request, Transaction
from hotsync.model.packages.wants import Marks
from hotsync.model.ports.package_manager import Hints
from hotsync.system import command
from hotsync.system.paths import Paths

_TIMEOUT = 3600.0
_ASKING = 600.0
_CHUNK = 500
_CACHE = "var/cache/yum"


class Yum(Dnf):
    """This host's yum; `repoquery` and `yumdb` are of the package yum-utils."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths)
        away = os.fspath(paths.root) != "/"
        self._yum_options = [
            *([f"--installroot={paths.root}", "--releasever=/"] if away else []),
            "--color=never", "--setopt=clean_requirements_on_remove=0",
            # what this server holds is never asked for; events of NethServer are production's
            "--disableplugin=versionlock,nethserver_events",
        ]  # fmt: skip

    def _yum(self, *words: str) -> list[str]:
        return ["yum", *self._yum_options, *words]

    @property
    def name(self) -> str:
        """Return how it is called."""
        return "yum"

    @property
    def hints(self) -> Hints:
        """Return what a person types."""
        return Hints(
            "yum-complete-transaction; yum check", "yum makecache", "yum update", "yum install", "yum reinstall",
            "glibc-common",
        )  # fmt: skip

    def broken(self) -> str:
        """Return what is wrong with the package database (something double or without what it needs), or ""."""
        answer = command.run(self._yum("-q", "-C", "check", "dependencies", "duplicates"), ok=range(256))
        said = [line for line in answer.text.splitlines() if line.strip()]
        if answer.returncode == 0:
            return ""
        return "; ".join(said[:3]) or yum_text.parse_refusal(answer.text, answer.errors)[0]

    def updates(self) -> tuple[str, ...]:
        """Return the packages that would be updated, by the lists that are here."""
        answer = command.run(self._yum("-q", "-C", "check-update"), ok=range(256), timeout=_ASKING)
        text = yum_text.whole_rows(answer.text)
        return rpm_text.parse_updates(text, self.machine().native) if answer.returncode == 100 else ()

    def refresh(self) -> str:
        """Refresh the lists; return "" or why it did not work (the old lists stay)."""
        try:
            command.run(self._yum("-q", "clean", "expire-cache"), timeout=_ASKING)
            command.run(self._yum("-q", "makecache"), timeout=_TIMEOUT)
        except CommandFailed as error:
            return str(error.facts["detail"])
        return ""

    def _offered(self, words: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for start in range(0, len(words), _CHUNK):
            argv = ["repoquery", "-C", "--show-duplicates", f"--qf={yum_text.OFFERED}", "--"]
            answer = command.run([*argv, *words[start : start + _CHUNK]], timeout=_ASKING)
            for name, versions in rpm_text.parse_offered(answer.text, self.machine().native).items():
                found.setdefault(name, {}).update(versions)
        return found

    def simulate(self, requests: Sequence[Request]) -> Transaction | tuple[str, ...]:
        """Given requests, return what installing them would do, or yum's reasons why it cannot be done."""
        with tempfile.TemporaryDirectory() as place:  # where it saves a transaction that was not run
            argv = self._yum("-C", "--assumeno", "install", "--", *_specs(requests))
            answer = command.run(argv, ok=range(256), env={"TMPDIR": place}, timeout=_ASKING)
        if not yum_text.could_be_done(answer.text + answer.errors):
            return yum_text.parse_refusal(answer.text, answer.errors)
        return rpm_text.parse_simulation(answer.text, self.installed(), self.machine().native)

    def download(self, requests: Sequence[Request], packages: Collection[tuple[str, str]]) -> None:
        """Fetch the files that the requests bring into yum's cache, and keep them on this host.

        yum looks for files of a repository in its own cache only: what is kept needs `yum localinstall`.
        """
        argv = self._yum("-y", "-q", "--setopt=keepcache=1", "--downloadonly", "install", "--", *_specs(requests))
        command.run(argv, ok=(0, 1), timeout=_TIMEOUT, unread=True)  # some of its versions end with 1 there
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        stems = tuple(rpm_text.file_stem(*package) for package in packages)
        for file in self._paths.root.glob(f"{_CACHE}/**/packages/*.rpm"):
            if file.name.startswith(stems):
                lay_beside(file, self._store / file.name)
        if lacking := [stem for stem in stems if not any(self._store.glob(f"{stem}*.rpm"))]:
            raise CommandFailed(
                program="yum", status="downloadonly", detail=f"it did not fetch {lacking[0]}rpm", line="yum"
            )

    @property
    def fetches_into(self) -> Path:
        """Return where files are fetched to before they are kept."""
        return self._paths.root / _CACHE

    def install(self, requests: Sequence[Request], transaction: Transaction) -> Mapping[str, str]:
        """Install; a unit that a package starts finds itself muted. Raise CommandFailed."""
        del transaction  # rpm passes over what fails; which one that was yum says in its own words
        with under_way(self._paths):
            argv = self._yum("-y", "-q", "-C", "--setopt=keepcache=1", "install", "--", *_specs(requests))
            command.run(argv, timeout=UNPACKING_SECONDS, unread=True)
        return {}

    def mark(self, marks: Marks) -> None:
        """Mark installed packages; raise CommandFailed."""
        for reason, names in (("user", marks.manual), ("dep", marks.automatic)):
            if names:
                command.run(["yumdb", "set", "reason", reason, "--", *(name.replace(":", ".") for name in names)])
        if not (marks.hold or marks.release):
            return
        installed = self.installed()
        gone = {name.partition(":")[0] for name in marks.release}
        lines = [
            line for line in rpm_state.read_locks(self._paths) if not gone.intersection(rpm_text.locked_names([line]))
        ]
        lines += [yum_text.lock(name, installed[name].version) for name in marks.hold]
        rpm_state.write_locks(self._paths, lines)


def _specs(requests: Sequence[Request]) -> list[str]:
    return [each.file or yum_text.spec(each.name, each.version) for each in requests]
