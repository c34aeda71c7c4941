"""What `systemctl list-unit-files` says, asked again only after something changed where units lie.

The call makes systemd read every unit of the host: it was the largest single cost of a run in which nothing changed.
Whether a unit is enabled or masked is a matter of files and links in a few folders, so their stamps tell if it can be
another answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.system.command import failure, run
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths
from hotsync.system.trees import names_in

# of transient units nothing is told
FOLDERS = (
    "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/generator.early",
    "/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
    "/run/systemd/generator", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)  # fmt: skip
_YOUNG_NS = 2 * 10**9  # stamps are coarse: what changed just now may change again unseen
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was answered to which patterns (joined by blanks), and the stamp that all of it is true for."""

    stamp: str
    listed: dict[str, str]


def states_of(text: str) -> dict[str, str]:
    """Given such lines, return the units (no aliases) and their states."""
    words = (line.split() for line in text.splitlines())
    return {unit: state for unit, state, *_ in words if state != "alias"}


def list_unit_files(paths: Paths, patterns: Sequence[str], now_ns: int, folders: Sequence[str] = FOLDERS) -> str:
    """Given patterns of units, return the lines of `systemctl list-unit-files`; raise CommandFailed.

    That there are none is an answer; what raises is a systemd that gives none. The last one is taken
    while nothing changed in `folders`.
    """
    stamp, newest = _stamp(folders)
    file = paths.state / "unit-files.json"
    known, question = _load(file), " ".join(patterns)
    answered = known.listed if known is not None and known.stamp == stamp else {}
    if question in answered:
        return answered[question]
    completed = run(["systemctl", "list-unit-files", "--no-legend", "--no-pager", *patterns], ok=(0, 1))
    if completed.returncode and completed.errors.strip():
        raise failure(("systemctl", "list-unit-files"), completed.returncode, completed.errors)
    listed = completed.text  # status 1 and not a word: there are none
    if newest < now_ns - _YOUNG_NS:
        _keep(file, _Answers(stamp, {**answered, question: listed}))
    return listed


def units_here(paths: Paths, names: Iterable[str]) -> frozenset[str]:
    """Given names of units, return those that have a file (or a link) on this host, whatever their state."""
    folders = [paths.at(folder) for folder in FOLDERS]
    return frozenset(name for name in names if any(os.path.lexists(folder / name) for folder in folders))


def _stamp(folders: Sequence[str]) -> tuple[str, int]:
    """Return one hash over the stamps of all that lies in the folders, and the newest of them."""
    seen, newest = hashlib.sha256(), 0
    for folder in folders:
        for path in _objects(folder):
            try:
                status = os.lstat(path)
            except OSError:
                continue
            newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
            line = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            seen.update(repr(line).encode())
    return seen.hexdigest(), newest


def _objects(folder: str) -> Iterator[str]:
    """Return a folder, what is in it, and what is in its folders of links, each folder in the order of names."""
    yield folder
    for name in names_in(folder):
        if name.endswith((".wants", ".requires", ".upholds")):
            yield from _objects(f"{folder}/{name}")
        else:
            yield f"{folder}/{name}"


def _load(file: Path) -> _Answers | None:
    try:
        return TypeAdapter(_Answers).validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(file: Path, answers: _Answers) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(file, json.dumps(asdict(answers)).encode("utf-8", "replace"), mode=0o600)
    except OSError as error:
        _log.warning("the list of units could not be kept: %s", error)  # then it is asked for again
