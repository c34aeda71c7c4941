"""What rsync says: pure parsers of its messages, progress and figures, and what its end means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hotsync.errors import ConnectionEnded, HotSyncError, NoSpace, OtherRsync, ReplicaError, TransferError

MAX_PROBLEMS = 100_000


class Trouble(StrEnum):
    """What went wrong with one source path. CHANGED: it did not hold still and must be sent again."""

    VANISHED = "vanished"
    UNREADABLE = "unreadable"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One source path that was not sent, and why."""

    trouble: Trouble
    path: str
    reason: str


@dataclass(slots=True)
class Messages:
    """What an rsync said on stderr: trouble with source paths, trouble of the receiver, and what fits neither."""

    problems: list[Problem] = field(default_factory=list[Problem])
    receiver: list[str] = field(default_factory=list[str])
    other: list[str] = field(default_factory=list[str])
    overflow: bool = False

    def add(self, line: str, root: str) -> None:
        """Take in one line of stderr, of a transfer from `root`."""
        line = line.strip("\r\n ")
        if not line or _CONSEQUENCE.match(line):
            return
        problem = parse_problem(line, root)
        if problem is not None:
            self.overflow = self.overflow or len(self.problems) >= MAX_PROBLEMS
            if not self.overflow:
                self.problems.append(problem)
        elif _RECEIVER.match(line):
            _keep(self.receiver, line)
        else:
            _keep(self.other, line)


def _keep(lines: list[str], line: str) -> None:
    if len(lines) < 50:
        lines.append(line[:1000])


_CONSEQUENCE = re.compile(
    r"rsync (?:error|warning): (?!.*\(code (?:2|4)\))|rsync: \[\w+\] write error: Broken pipe|IO error encountered"
    r"|rsync: connection unexpectedly closed|rsync: \[\w+\] safe_read failed|rsync: read error: Connection reset"
    r"|WARNING: .* failed verification -- update (?:discarded|retained|put into partial-dir) \(will try again\)"
    r"|\(see the rsync man ?page|(?:rsync: )?\[\w+\] io timeout after",
    re.DOTALL,
)
_RECEIVER = re.compile(r"rsync: \[(?:[Rr]eceiver|[Gg]enerator)\]|could not make way for|cannot delete non-empty")
_VANISHED = re.compile(
    r'(?:file|directory|symlink|device|special file|special) has vanished: "(?P<path>.*)"(?: \(in .*\))?\Z'
)
_UNVERIFIED = re.compile(r"ERROR: (?P<path>.*) failed verification -- update (?:discarded|retained|put into).*\Z")
_GREEDY = re.compile(
    r"rsync: (?:\[sender\] )?(?P<what>[^\"]*)\"(?P<path>.*)\"[^\"]*: (?P<reason>[^\":]*) \((?P<errno>\d+)\)\Z"
)
_XATTR = re.compile(r'(?P<path>.*)","[^"]*\Z', re.DOTALL)
_ACL = re.compile(
    r"rsync: (?:\[sender\] )?get_acl: sys_acl_get_file\((?P<path>.*), ACL_TYPE_\w+\): "
    r"(?P<reason>.*) \((?P<errno>\d+)\)\Z"
)
_GONE = {2: Trouble.VANISHED, 20: Trouble.VANISHED, 40: Trouble.CHANGED, 61: Trouble.CHANGED}
"""ENOENT, ENOTDIR; ELOOP: it became a link; ENODATA: it became shorter while it was read."""


def parse_problem(line: str, root: str) -> Problem | None:
    """Given one line of the sender's stderr, return the source path that it is about, or None if it is about none."""
    if found := _VANISHED.match(line):
        return Problem(Trouble.VANISHED, _relative(found["path"], root), "it vanished")
    if found := _UNVERIFIED.match(line):
        return Problem(Trouble.CHANGED, _relative(found["path"], root), "it changed while it was sent")
    if _RECEIVER.match(line) or not line.startswith("rsync: "):
        return None
    found = _ACL.match(line) or _GREEDY.match(line)
    if found is None or "files-from" in found.groupdict().get("what", ""):
        return None
    path = found["path"]
    if within := _XATTR.match(path):
        path = within["path"]
    trouble = _GONE.get(int(found["errno"]), Trouble.UNREADABLE)
    return Problem(trouble, _relative(path, root), found["reason"])


def _relative(shown: str, root: str) -> str:
    path = unescape(shown)
    prefix = root.rstrip("/") + "/"
    return path.removeprefix(prefix).strip("/")


def unescape(shown: str) -> str:
    r"""Given a name as rsync shows it (`\#ooo` for bytes that do not print), return it as HotSync has it."""
    raw = re.sub(
        rb"\\#([0-3][0-7]{2})", lambda found: bytes([int(found[1], 8)]), shown.encode("utf-8", "surrogateescape")
    )
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known around a transfer: both versions, bytes that came from the receiving rsync, space there."""

    ours: str
    theirs: str
    received: int = 0
    needed: int = 0
    free: int = 0


def judge(status: int, messages: Messages, around: Circumstances) -> HotSyncError | None:
    """Given how the sending rsync ended, return the error that it means; None if at most source paths had trouble."""
    if any("(28)" in line or "(122)" in line for line in messages.receiver):  # ENOSPC, EDQUOT
        return NoSpace(needed=around.needed, free=around.free)
    if messages.receiver:
        return ReplicaError(reason=f"the SLAVE could not store what was sent: {messages.receiver[0]}")
    if status in (2, 4) or (around.received == 0 and status in (1, 12)):
        return OtherRsync(ours=around.ours, theirs=around.theirs)
    if messages.overflow:
        return TransferError(reason=f"more than {MAX_PROBLEMS} files could not be read")
    if status == 0 or (status in (23, 24) and messages.problems and not messages.other):
        return None
    if status < 0 or (status in _LOST and not messages.other):
        return ConnectionEnded(reason=f"it ended while files were sent ({_LOST.get(status, 'rsync was killed')})")
    said = messages.other[0] if messages.other else _MEANING.get(status, "it said nothing of use")
    return TransferError(reason=f"rsync ended with {status}: {said}", status=status)


_MEANING = {11: "a file could not be read or written", 22: "memory ran out"}
_LOST = {
    10: "the line broke",
    12: "the other rsync was gone",
    19: "rsync was told to end",
    20: "rsync was told to end",
    30: "the other rsync was silent",
    35: "the other rsync was silent",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """One line of rsync's own progress."""

    bytes: int
    files: int


_PROGRESS = re.compile(r"\s*(?P<bytes>[\d,.]+)\s+\d+%\s+\S+\s+[\d:?]+(?:\s+\(xfr#(?P<files>\d+), \S+=\d+/\d+\))?\s*\Z")


def parse_progress(line: str) -> Counted | None:
    """Given a line of stdout, return the count that it shows, or None if it shows none (no file ended with it: 0)."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    return Counted(int(re.sub(r"[,.]", "", found["bytes"])), int(found["files"] or 0))


def parse_stats(lines: Iterable[str]) -> dict[str, int]:
    """Given stdout's last lines, return the figures of --stats by their names."""
    figures: dict[str, int] = {}
    for line in lines:
        if found := re.match(r"([A-Z][\w ]+): ([\d,]+)", line):
            figures[found[1]] = int(found[2].replace(",", ""))
    return figures
