"""Limits of users, groups and projects on file systems with quotas: read by repquota, set by setquota."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hotsync.errors import CommandFailed
from hotsync.model.facts import LimitFact, QuotaFact
from hotsync.system import command
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.quota_times import read_grace_times

KINDS = {"user": "-u", "group": "-g", "project": "-P"}
_OPTIONS = {
    "user": re.compile(r"(?:usrquota|usrjquota=.*|uquota|uqnoenforce|quota)\Z"),
    "group": re.compile(r"(?:grpquota|grpjquota=.*|gquota|gqnoenforce)\Z"),
    "project": re.compile(r"(?:prjquota|pquota|pqnoenforce)\Z"),
}
_LINE = re.compile(r"#(\d+)\s+[+-]{2}\s+\d+\s+(\d+)\s+(\d+)\s+\d+\s+\d+\s+(\d+)\s+(\d+)\s+\d+\s*\Z")


def switched_on(mounts: Iterable[Mount]) -> dict[tuple[str, str], str]:
    """Given what is mounted, return the mount points with each kind of quotas that is on there, sorted, each with its
    device."""
    found = {
        (mount.point, kind): mount.source
        for mount in mounts
        for kind, words in _OPTIONS.items()
        if mount.subtree == "/" and any(words.match(option) for option in mount.options.split(","))
    }
    return dict(sorted(found.items()))


def read_quotas() -> tuple[QuotaFact, ...]:
    """Return where quotas are on here, with the limits of each."""
    return tuple(_quota(*each, device) for each, device in switched_on(read_mounts()).items())


def _quota(point: str, kind: str, device: str) -> QuotaFact:
    try:
        # also of those who have no file; numbers, as names may differ; times in seconds, so that no column is missing
        said = command.run(
            ["repquota", KINDS[kind], "-v", "-n", "-p", "--", point], timeout=600, limit=command.LARGE_OUTPUT
        ).text
    except CommandFailed:
        return QuotaFact(point, kind, unread=True)
    limits = tuple(sorted(parse_report(said), key=lambda limit: limit.number))
    return QuotaFact(point, kind, limits, False, *read_grace_times(device, kind))


def parse_report(text: str) -> Iterator[LimitFact]:
    """Given repquota's report with numbers and plain times, return whose limits are any."""
    for line in text.splitlines():
        if found := _LINE.match(line):
            number, *limits = map(int, found.groups())
            if any(limits):
                yield LimitFact(number, *limits)


def set_quotas(wanted: Iterable[QuotaFact]) -> Iterator[str]:
    """Given the MASTER's limits and grace times, set them where the same mount point has quotas on; return what could
    not be set."""
    here = switched_on(read_mounts())
    for quota in wanted:
        if not quota.limits:
            continue
        if (quota.point, quota.kind) not in here:
            yield f"{quota.kind} quotas are not on at {quota.point}"
            continue
        lines = (
            f"{limit.number} {limit.soft} {limit.hard} {limit.files_soft} {limit.files_hard}\n"
            for limit in quota.limits
        )
        try:
            command.run(["setquota", KINDS[quota.kind], "-b", "--", quota.point], input="".join(lines).encode())
            if quota.grace or quota.files_grace:
                times = (str(quota.grace), str(quota.files_grace))
                command.run(["setquota", KINDS[quota.kind], "-t", "--", *times, quota.point])
        except CommandFailed as error:
            yield error.sentence
