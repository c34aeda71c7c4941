"""What rsync is told: the arguments of both ends, made from one value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hotsync.errors import OtherRsync, TransferError

PROGRAM = "rsync"
_NO_LABELS = ("--filter=-x security.selinux", "--filter=-x system.*")
"""Labels of SELinux are the machine's own: neither sent, nor taken, nor removed where the machine gave one. The second
rule is rsync's own one, which does not hold any more once there is another."""
OLDEST = (3, 1, 0)
Number = Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$")]


class RsyncVersion(BaseModel):
    """One side's rsync: its version and the abilities that decide how it may be called."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    version: Number
    acls: bool = False
    xattrs: bool = False
    hardlinks: bool = False
    symtimes: bool = False
    iconv: bool = False
    zstd: bool = False

    @property
    def number(self) -> tuple[int, ...]:
        """Return the version as numbers that compare."""
        return tuple(int(part) for part in self.version.split("."))


class RsyncTerms(BaseModel):
    """All that decides the command lines of one transfer. It crosses the wire; nothing else that a peer says does.

    `again`: what changed while it was sent is sent once more. Size and time of what already arrived may be the same
    then, and its content old, so that the quick check must not be asked. `told`: the receiver must be asked to tell its
    troubles over the line, since 3.2.3 (before, it always did).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    transfer: Literal["files", "again"] = "files"
    sender: Number
    symtimes: bool
    iconv: bool
    compress: Literal["none", "zstd"] = "none"
    told: bool = False
    stall_seconds: Annotated[int, Field(ge=5, le=86400)]
    bandwidth: Annotated[int, Field(ge=0, le=100_000_000)] = 0


def lacking(version: RsyncVersion) -> list[str]:
    """Given a version, return the abilities that a true copy takes and that it was built without."""
    return [name for name in ("acls", "xattrs", "hardlinks") if not getattr(version, name)]


def agree_terms(
    ours: RsyncVersion, theirs: RsyncVersion, *, stall_seconds: float, bandwidth: int, compress: bool
) -> RsyncTerms:
    """Given both versions, return the terms of a transfer; raise OtherRsync if one of the two lacks what it takes."""
    for version, where in ((ours, "here"), (theirs, "there")):
        without = lacking(version)
        if version.number < OLDEST or without:
            raise OtherRsync(
                ours=ours.version,
                theirs=theirs.version,
                hint=f"The rsync {where} lacks {', '.join(without) or 'what 3.1 brought'}: install a newer one.",
            )
    return RsyncTerms(
        sender=ours.version,
        symtimes=ours.symtimes,
        iconv=ours.iconv,
        compress="zstd" if compress and ours.zstd and theirs.zstd else "none",
        told=min(ours.number, theirs.number) >= (3, 2, 3),
        stall_seconds=max(5, round(stall_seconds)),
        bandwidth=bandwidth,
    )


def _own_timeout(terms: RsyncTerms) -> int:
    """Return after which silence rsync gives up by itself: later than we do, who say why.

    Half of it is how often rsync shows that it is alive while it has nothing to send: that must come before we give up.
    """
    return round(terms.stall_seconds * 1.5)


def server_argv(terms: RsyncTerms) -> list[str]:
    """Given terms, return the line by which the sender wants to be answered, in the folder that is the destination."""
    newer = tuple(int(part) for part in terms.sender.split(".")) >= (3, 2, 0)
    abilities = ("L" if terms.symtimes else "") + ("s" if terms.iconv else "") + ("fxCIvu" if newer else "fxC")
    again = "I" if terms.transfer == "again" else ""
    argv = [PROGRAM, "--server", f"-{again}lHogDtpAXXRSe.{abilities}"]
    if terms.told:
        argv.append("--no-msgs2stderr")
    if terms.compress != "none":
        argv += ["--compress-level=1", f"--compress-choice={terms.compress}"]
    if terms.bandwidth:
        argv.append(f"--bwlimit={terms.bandwidth}")
    argv.append(f"--timeout={_own_timeout(terms)}")
    return [*argv, "--partial", "--stats", "-@-1", "--numeric-ids", "--no-implied-dirs", ".", "."]


def receiver_argv(terms: RsyncTerms) -> list[str]:
    """Given terms, return the line that the receiver is started with: the sender's wish, and what it need not know."""
    argv = server_argv(terms)
    return [*argv[:-2], *_NO_LABELS, *argv[-2:]]


def sender_argv(terms: RsyncTerms, remote_shell: str, files_from: str, root: str) -> list[str]:
    """Given terms, return the sender's command line; the paths in `files_from` (NUL after each) are below `root`.

    Folders above a listed path are not sent of their own accord: those whose attributes matter are listed themselves.
    """
    # X twice: also the attributes in which an rsync with --fake-super keeps owners, which are data like others
    argv = [PROGRAM, "-aHAXXS", *_NO_LABELS, "--numeric-ids", "--modify-window=-1", "--no-implied-dirs", "--partial"]
    if terms.transfer == "again":
        argv.append("--ignore-times")
    if terms.told:
        argv.append("--stderr=client")
    if terms.compress != "none":
        argv += ["--compress", f"--compress-choice={terms.compress}", "--compress-level=1"]
    argv.append(f"--timeout={_own_timeout(terms)}")
    if terms.bandwidth:
        argv.append(f"--bwlimit={terms.bandwidth}")
    # messages and figures: what the parsers below read
    argv += ["--stats", "--no-human-readable", "--info=progress2", "--outbuf=L"]
    return [*argv, f"--rsh={remote_shell}", "--from0", f"--files-from={files_from}", f"{root.rstrip('/')}/", "peer:."]


def same_server(argv: Sequence[str], terms: RsyncTerms) -> bool:
    """Given the line that the sending rsync wants to be answered by, return whether it is the one we start there.

    The order of options differs between versions and means nothing. Any other difference hangs or ends in 4 or 12.
    """
    return _meaning(argv) == _meaning(server_argv(terms))


def _meaning(argv: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    options: list[str] = []
    for word in argv[1:]:
        if word.startswith(("--", "-@")):
            options.append(word)
        elif word.startswith("-"):
            letters, _, abilities = word[1:].partition("e.")
            options += letters
            options += (f"e.{letter}" for letter in abilities)
    return tuple(sorted(options)), tuple(word for word in argv[1:] if not word.startswith("-"))


def parse_version(text: str) -> RsyncVersion:
    """Given what `rsync -VV` (JSON) or `rsync --version` says, return the version; raise TransferError if neither."""
    if text.lstrip().startswith("{"):
        try:
            document: dict[str, Any] = json.loads(text)
            able: dict[str, Any] = document["capabilities"]
            return RsyncVersion(
                version=_three(str(document["version"])),
                acls=bool(able.get("ACLs")),
                xattrs=bool(able.get("xattrs")),
                hardlinks=bool(able.get("hardlinks")),
                symtimes=bool(able.get("symtimes")),
                iconv=bool(able.get("iconv")),
                zstd="zstd" in document.get("compress_list", ()),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TransferError(reason=f"rsync's version cannot be read ({error})") from error
    found = re.search(r"version v?(\d+(?:\.\d+){1,2})", text)
    if found is None:
        raise TransferError(reason="rsync's version cannot be read", hint="Install rsync.")
    able_text = text.partition("Capabilities:")[2].partition("Checksum list:")[0]
    words = {word.strip() for word in re.split(r"[,\n]", able_text)}
    compress = re.search(r"Compress list:\s*\n?(.*)", text)
    return RsyncVersion(
        version=_three(found[1]),
        acls="ACLs" in words,
        xattrs="xattrs" in words,
        hardlinks="hardlinks" in words,
        symtimes="symtimes" in words,
        iconv="iconv" in words,
        zstd="zstd" in (compress[1].split() if compress else ()),
    )


def _three(version: str) -> str:
    parts = re.findall(r"\d{1,3}", version)[:3]
    return ".".join([*parts, "0", "0"][:3])


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer is; totals are what was expected when it began."""

    files: int
    total_files: int
    bytes: int
    total_bytes: int
    bytes_per_second: float
    seconds_left: float | None
