"""docs/errors.md: every failure that HotSync can name."""

from __future__ import annotations

from collections.abc import Iterator

from docs.generators import table
from hotsync.errors import ExitCode, HotSyncError

PATH = "docs/errors.md"

INTRODUCTION = """# Errors

Every failure has a stable code, one sentence, and one hint that is a thing to do. The commands print sentence and
hint; with `--json` the object `{"code", "sentence", "hint", "facts"}`. The words in braces are filled in.

## Exit status

"""

MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.WARNINGS: "done, with warnings",
    ExitCode.USAGE: "the command line or the settings are wrong",
    ExitCode.REFUSED: "refused: it could be done, but must not be (role, epoch, guard, not ready, MASTER alive)",
    ExitCode.BUSY: "another run is working (with `--timer`, which the units pass, quietly 0)",
    ExitCode.PEER: "the peer is unreachable, not trusted, or speaks another protocol",
    ExitCode.TRANSFER: "the transfer failed",
    ExitCode.SOURCE: "a source could not be collected",
    ExitCode.REPLICA: "the replica: integrity, space, commit",
    ExitCode.STEP: "a step of a plan failed",
    ExitCode.BUG: "a fault of HotSync itself",
    ExitCode.INTERRUPTED: "interrupted",
}


def tree(kind: type[HotSyncError] = HotSyncError) -> Iterator[type[HotSyncError]]:
    """Return an error class and all below it, parents first (a test's own ones aside)."""
    if kind.__module__ == HotSyncError.__module__:
        yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def sentence(kind: type[HotSyncError]) -> str:
    """Return the sentence of an error class, its facts in braces."""
    return " ".join((kind.__doc__ or "").split())


def render() -> str:
    """Return the page."""
    codes = [(str(int(code)), MEANINGS[code]) for code in ExitCode]
    errors = [
        (f"`{kind.code}`", str(int(kind.exit_code)), sentence(kind), kind.hint)
        for kind in sorted(tree(), key=lambda kind: (kind.exit_code, kind.code))
    ]
    return (
        INTRODUCTION
        + table(("status", "meaning"), codes)
        + "\n## Errors by status\n\n"
        + table(("code", "status", "sentence", "what to do"), errors)
    )
