"""What of this server no rule protects, as findings: pure, from what is open, what changed, and the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hotsync.model.coverage.groups import Group
from hotsync.model.coverage.judge import Judge, mount_reason
from hotsync.model.explain import Mounted


class Kind(StrEnum):
    """What a finding is about."""

    DATA = "data"
    OPEN = "open file"
    UNIT = "unit"
    TIMER = "timer"
    JOB = "cron job"
    PORT = "port"
    CONTAINER = "container"
    VOLUME = "volume"
    CERTIFICATE = "certificate"
    FOLDER = "folder"
    MOUNT = "mount"
    DATABASE = "database"


DAYS = 7
"""What counts as changed lately, unless somebody asks for another time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that nothing protects: its kind, its name (a path where it has one), why, and who has to do with it.

    Of data: how many files changed lately (`files`, `size` bytes, the last one at `newest`), and the bytes of all that
    lies there (`held`).
    """

    kind: Kind
    name: str
    reason: str
    by: tuple[str, ...] = ()
    files: int = 0
    size: int = 0
    held: int = 0
    newest: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file that a process holds open for writing; `by` says which, in a person's words."""

    path: str
    by: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Application:
    """Something that runs or lies here, and what protects it; `name` is its profile's ("" if none knows it)."""

    name: str
    title: str
    protected_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The answer; `days`: what counted as changed lately (0: all); `faults` say what could not be looked at."""

    looked_at: float
    days: int
    findings: tuple[Finding, ...] = ()
    applications: tuple[Application, ...] = ()
    faults: tuple[str, ...] = ()


def summary_of(found: Coverage) -> str:
    """Return in one line how much is not protected, and how much of that nobody could find out."""
    count, unseen = len(found.findings), len(found.faults)
    if not count and not unseen:
        return "nothing is unprotected"
    hidden = f"{unseen} {'thing' if unseen == 1 else 'things'} could not be looked at"
    if not count:
        return f"{hidden}, nothing else is unprotected: hotsync coverage"
    said = f"{count} {'thing is' if count == 1 else 'things are'} not protected"
    return f"{said}{f', {hidden}' if unseen else ''}: hotsync coverage"


def data_findings(groups: Iterable[Group], opened: Iterable[OpenFile], judge: Judge) -> list[Finding]:
    """Given what changed lately and what is open for writing, return what of it nothing protects, the largest first.

    An open file that lies in something that changed lately says who writes there.
    """
    found = {group.path: _of_group(group) for group in groups}
    writers: dict[str, set[str]] = {}
    others: dict[str, list[OpenFile]] = {}
    for file in opened:
        judged = judge(file.path)
        if judged.is_covered:
            continue
        place = _place_of(file.path, found)
        if place:
            writers.setdefault(place, set()).add(file.by)
        else:
            others.setdefault(file.path.rpartition("/")[0] or "/", []).append(file)
    told = [replace(finding, by=tuple(sorted(writers.get(path, ())))) for path, finding in found.items()]
    told += [_of_open(folder, files) for folder, files in others.items()]
    return sorted(told, key=lambda finding: (-finding.size, finding.name))


def _place_of(path: str, groups: Mapping[str, Finding]) -> str:
    while path:
        if path in groups:
            return path
        path = path.rpartition("/")[0]
    return ""


def _of_group(group: Group) -> Finding:
    reason = "no rule names it" if group.whole else "no rule names these files; others beside them are no concern"
    return Finding(Kind.DATA, group.path, reason, (), group.files, group.size, group.held, group.newest)


def _of_open(folder: str, files: list[OpenFile]) -> Finding:
    sizes = {file.path: file.size for file in files}
    by = tuple(sorted({file.by for file in files}))
    name = files[0].path if len(sizes) == 1 else folder
    reason = "no rule names it, and it is open for writing"
    return Finding(Kind.OPEN, name, reason, by, len(sizes), sum(sizes.values()), sum(sizes.values()))


def mount_findings(mounted: Mounted, judge: Judge) -> list[Finding]:
    """Given what is mounted, return the file systems with data that no rule names, the topmost of those in others."""
    found: list[Finding] = []
    for point, kind in sorted(mounted.table.items()):
        inside = any(f"/{point}/".startswith(f"{finding.name}/") for finding in found)
        if not point or point in mounted.allowed or inside:
            continue
        judged = judge(f"/{point}")
        if judged == mount_reason(kind, mounted.pseudo) and not judged.is_covered:
            found.append(Finding(Kind.MOUNT, f"/{point}", judged.reason))
    return found
