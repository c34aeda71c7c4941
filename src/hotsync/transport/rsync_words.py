"""What rsync says: pure parsers of its messages, progress and figures, and what its end means."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hotsync.errors import ConnectionEnded, HotSyncError, NoSpace, OtherRsync, ReplicaError, TransferError
from hotsync.model.readable import readable
from hotsync.model.unstored import Unstored

MAX_PROBLEMS = 100_000
MAX_UNSTORED = 10_000
"""More paths that the SLAVE cannot store are no matter of these paths."""


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
    """What an rsync said on stderr: trouble with source paths, what the receiver could not store (by the first path
    that it can mean), other trouble of the receiver, and what fits none of them."""

    problems: list[Problem] = field(default_factory=list[Problem])
    unstored: dict[str, Unstored] = field(default_factory=dict[str, Unstored])
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
        elif (unstored := parse_unstored(line)) is not None:
            self.unstored.setdefault(unstored.paths[0], unstored)
            if len(self.unstored) > MAX_UNSTORED:
                _keep(self.receiver, f"more than {MAX_UNSTORED} paths; the last was {line}")
                del self.unstored[unstored.paths[0]]
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
    r"|\*\*\* Skipping any contents from this failed directory \*\*\*"
    r"|\(see the rsync man ?page|(?:rsync: )?\[\w+\] io timeout after",
    re.DOTALL,
)
_RECEIVER = re.compile(
    r"rsync: \[(?:[Rr]eceiver|[Gg]enerator)\]|could not make way for|cannot delete non-empty"
    # before 3.2 no line says who speaks
    r"|rsync: (?:recv_generator|rsync_xal_set|set_acl|delete_file): "
    r"|rsync: (?:mkstemp|mknod|symlink|link|rename|chown|chgrp|failed to set|(?:write|ftruncate) failed on) "
)
_WHOSE = re.compile(r"rsync: (?:\[\w+\] )?")
_QUOTED = re.compile(r'(?P<what>[^"]*)"(?P<path>.*)"(?P<more>[^"]*): [^":]* \((?P<errno>\d{1,4})\)\Z', re.DOTALL)
_SET_ACL = re.compile(r"set_acl: \w+\((?P<path>.*), ACL_TYPE_\w+\): [^:]* \((?P<errno>\d{1,4})\)\Z", re.DOTALL)
_ATTRIBUTE = re.compile(r"\w*xattr\w*(?:: \w*setxattr| ?\()|rsync_xal_set: ")
_STAGING = re.compile(r"\A/.*?/staging/\d{1,20}(?:/|\Z)", re.DOTALL)
_AMBIGUOUS = ('","', '" -> "', '" => ')
_MEANINGS = 16
_FULL = re.compile(r"\((?:28|122)\)\Z")
"""ENOSPC, EDQUOT."""
_OF_THE_DISK = frozenset((
    errno.EIO, errno.ENXIO, errno.EBADF, errno.EACCES, errno.ENODEV, errno.ENFILE, errno.EMFILE, errno.EROFS,
    errno.ESTALE, errno.EUCLEAN,
))  # fmt: skip
"""What says that nothing can be stored there, not that this cannot."""
_TOO_LARGE = (errno.EFBIG, errno.EINVAL)
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


def parse_unstored(line: str) -> Unstored | None:
    """Given one line of the receiver, return what it could not store, None if it speaks of no path, or of the disk."""
    if not _RECEIVER.match(line):
        return None
    said = line[found.end() :] if (found := _WHOSE.match(line)) else line
    acl = _SET_ACL.match(said)
    found = acl or _QUOTED.match(said)
    if found is None:
        return None
    number, what = int(found["errno"]), "its ACL" if acl else found["what"]
    attribute = not acl and _ATTRIBUTE.match(what) is not None
    over = what.startswith("write failed")
    if number in _OF_THE_DISK or (not acl and not attribute and number in (errno.ENOSPC, errno.EDQUOT)):
        return None
    if over and number not in _TOO_LARGE:
        return None
    part = "its ACL" if acl else "an extended attribute of it" if attribute else "it"
    cause = os.strerror(errno.EFBIG if over else number)
    paths = _meanings(found["path"]) if not acl else (found["path"],)
    return Unstored(
        tuple(dict.fromkeys(_staged(path) for path in paths)),
        f"the SLAVE cannot store {part} ({cause})",
        unmade="mkdir" in what,
        over=over,
    )


def _meanings(quoted: str) -> tuple[str, ...]:
    """Given what stands between the first and the last quotation mark of a line, return what may be its path in it: any
    sign may be part of a name, or of what follows it (an attribute's name, a link's target)."""
    paths = [quoted]
    for sign in _AMBIGUOUS:
        place = quoted.find(sign)
        while place >= 0 and len(paths) < _MEANINGS:
            paths.append(quoted[:place])
            if sign == '" -> "':
                paths.append(quoted[place + len(sign) :])
            place = quoted.find(sign, place + 1)
    return tuple(paths)


def _staged(shown: str) -> str:
    return _STAGING.sub("", unescape(shown)).removeprefix("./").rstrip("/")


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
    """Given how the sending rsync ended, return the error that it means; None if at most single paths had trouble."""
    if any(_FULL.search(line) and not _is_of_attributes(line) for line in messages.receiver):
        return NoSpace(needed=around.needed, free=around.free)
    if messages.receiver:
        return ReplicaError(reason=f"the SLAVE could not store what was sent: {readable(messages.receiver[0])}")
    if status in (2, 4) or (around.received == 0 and status in (1, 12)):
        return OtherRsync(ours=around.ours, theirs=around.theirs)
    if messages.overflow:
        return TransferError(reason=f"more than {MAX_PROBLEMS} files could not be read")
    if status == 0 or (status in (23, 24) and (messages.problems or messages.unstored) and not messages.other):
        return None
    if is_cut(status, messages):
        return None
    if status < 0 or (status in _LOST and not messages.other):
        return ConnectionEnded(reason=f"it ended while files were sent ({_LOST.get(status, 'rsync was killed')})")
    said = messages.other[0] if messages.other else _MEANING.get(status, "it said nothing of use")
    return TransferError(reason=f"rsync ended with {status}: {said}", status=status)


def is_cut(status: int, messages: Messages) -> bool:
    """Return whether the receiver ended because of a file that is too large there: what came behind it is missing."""
    return status in (11, 12) and any(word.over for word in messages.unstored.values()) and not messages.other


def _is_of_attributes(line: str) -> bool:
    return "xattr" in line or "set_acl" in line or "rsync_xal_set" in line


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
