"""Which jobs of cron start something that nothing brings back after a promotion: pure, from what crontabs say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Cover, Judge

_SETTING = re.compile(r"""^["']?[A-Za-z_][A-Za-z0-9_]*["']?\s*=""")
_TIME = re.compile(r"^(?:@[A-Za-z_]+|(?:[0-9A-Za-z*/,~-]+\s+){4}[0-9A-Za-z*/,~-]+)\s+")
_WORD = re.compile(r"""(?P<before>\bcd\s+|[0-9&]?>+\s*)?(?<![\w./:~$})\]-])["']?(?P<path>/[^\s;&|<>'"()`$*?%]+)""")


@dataclass(frozen=True, slots=True)
class Named:
    """A path that a job names: its own program (`starts`), a folder that it goes to, or any other file."""

    path: str
    starts: bool = False


@dataclass(frozen=True, slots=True)
class JobSeen:
    """What a file of jobs names, where that really lies."""

    file: str
    names: Named


def named_in(text: str, *, users: bool) -> Iterator[Named]:
    """Given a crontab, return the absolute paths that its jobs name, without those that they only write to.

    `users`: each line says whose job it is, as those of the system do.
    """
    for line in text.splitlines():
        line = line.strip()
        time = _TIME.match(line)
        if time is None or line.startswith("#") or _SETTING.match(line):
            continue
        command = line[time.end() :]
        if users:
            command = command.partition(" ")[2] if " " in command else command.partition("\t")[2]
        command = re.split(r"(?<!\\)%", command.strip())[0]  # what follows is what the job reads
        for found in _WORD.finditer(command):
            before = (found["before"] or "").strip()
            if not before.endswith(">"):
                yield Named(found["path"].rstrip(",:"), starts=found.start() == 0 and not before)


def job_findings(jobs: Iterable[JobSeen], judge: Judge) -> list[Finding]:
    """Given what jobs name, return those that something is missing for after a promotion."""
    found: dict[tuple[str, str], Finding] = {}
    for job in jobs:
        judged = judge(job.names.path)
        if not judged.is_covered or (job.names.starts and judged.cover is Cover.NO_DATA):
            reason = f"{'it starts' if job.names.starts else 'it names'} {job.names.path}: {judged.reason}"
            found[job.file, job.names.path] = Finding(Kind.JOB, job.file, reason)
    return [found[key] for key in sorted(found)]
