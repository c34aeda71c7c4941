"""Streams of dnf's modules on this host: read from its files, set by dnf itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable

from hotsync.backends.packages.dnf import options_of
from hotsync.errors import CommandFailed
from hotsync.model.facts import StreamFact
from hotsync.model.packages.family import identity
from hotsync.model.packages.module_streams import Modular, parse_module
from hotsync.system import command
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

_FOLDER = "etc/dnf/modules.d"
_LARGEST = 64 * 1024
_LABELS = r"%{NAME}\t%{ARCH}\t%{MODULARITYLABEL}\n"
_NOWHERE = "no repository of this server has that stream"
_HEADINGS = (
    "Error: Problems in request:", "Unable to resolve argument ", "broken groups or modules: ",
    "Modular dependency problem", "Unable to detect release version",
)  # fmt: skip
_TIMEOUT = 600.0


def read_streams(paths: Paths) -> tuple[StreamFact, ...]:
    """Return the modules that are enabled or switched off on this host, sorted; none where dnf has set none."""
    found: dict[str, StreamFact] = {}
    for file in sorted(paths.root.glob(f"{_FOLDER}/*.module")):
        if file.is_file() and file.stat().st_size <= _LARGEST:
            found |= {each.module: each for each in parse_module(file.read_text("utf-8", "replace"))}
    return tuple(found[name] for name in sorted(found))


class ModuleStreams:
    """This host's modules; where packages are apt's or yum 3's there are none."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._root = ["--root", os.fspath(paths.root)] if os.fspath(paths.root) != "/" else []

    def here(self) -> tuple[StreamFact, ...]:
        """Return what is set on this host."""
        return read_streams(self._paths)

    def packages(self) -> tuple[Modular, ...]:
        """Return the installed packages that came with a stream; raise CommandFailed."""
        argv = ["rpm", *self._root, "-qa", "--qf", _LABELS]
        return parse_labels(command.run(argv, limit=command.LARGE_OUTPUT).text, platform.machine())

    def take(self, wanted: Iterable[StreamFact]) -> dict[str, str]:
        """Set the modules, by the lists that are here; return by module why those that could not be set were not.

        One may need another one's stream first, so those that failed are tried again once others went well.
        """
        waiting, reasons = tuple(wanted), dict[str, str]()
        while waiting:
            reasons = {each.module: reason for each in waiting if (reason := self._take(each))}
            if len(reasons) == len(waiting):
                break
            waiting = tuple(each for each in waiting if each.module in reasons)
        return reasons

    def _take(self, wanted: StreamFact) -> str:
        """Set one module; return why it was not set ("": it was), and then all is as it was before."""
        file = self._paths.at(f"/{_FOLDER}/{wanted.module}.module")
        before = file.read_bytes() if file.exists() else None
        try:
            if before is not None:
                self._dnf("reset", wanted.module)  # dnf changes no stream that is enabled
            if wanted.stream:
                self._dnf("enable", str(wanted))
            else:
                self._dnf("disable", wanted.module)
        except CommandFailed as error:
            if before is not None:
                write_atomic(file, before, mode=0o644)
            return str(error.facts["detail"])
        return ""

    def _dnf(self, verb: str, word: str) -> None:
        argv = ["dnf", *options_of(self._paths), "--setopt=strict=True", "-q", "-C", "-y", "module", verb, word]
        answer = command.run(argv, ok=range(256), timeout=_TIMEOUT)
        if answer.returncode:
            reason = reason_of(answer.text, answer.errors)
            raise CommandFailed(program="dnf", status=f"exit {answer.returncode}", detail=reason, line=" ".join(argv))


class NoStreams:
    """A host whose package manager knows no modules."""

    def here(self) -> tuple[StreamFact, ...]:
        """Return nothing."""
        return ()

    def packages(self) -> tuple[Modular, ...]:
        """Return nothing."""
        return ()

    def take(self, wanted: Iterable[StreamFact]) -> dict[str, str]:
        """Return of each module that it cannot be set."""
        return {each.module: "this server's package manager knows no modules" for each in wanted}


def parse_labels(text: str, native: str) -> tuple[Modular, ...]:
    """Given rpm's lines of name, architecture and label (`postgresql:15:820230:9b3d`), return what has a label."""
    rows = (line.split("\t") for line in text.splitlines())
    labelled = ((row, row[2].split(":")) for row in rows if len(row) == 3)
    return tuple(Modular(identity(row[0], row[1], native), *label[:2]) for row, label in labelled if len(label) >= 2)


def reason_of(output: str, errors: str) -> str:
    """Given what dnf printed when it did not set a module, return why."""
    lines = [line.strip() for line in (*errors.splitlines(), *output.splitlines()) if line.strip()]
    if any(line.startswith("missing groups or modules: ") for line in lines):
        return _NOWHERE
    because = [line[2:] for line in lines if line.startswith("- ")]
    said = [line.removeprefix("Error: ") for line in lines if not line.startswith(_HEADINGS)]
    return "; ".join(because[:3] or said[:3] or ["dnf did not say why"])
