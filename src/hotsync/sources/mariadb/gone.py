"""Loads statements of which some may name what is not there (any more), and says which these were."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.client import client
from hotsync.sources.source import Dataset
from hotsync.sources.stream import feed
from hotsync.system.command import failure

_ERROR_NUMBER = re.compile(rb"ERROR (\d+)")
_GONE = frozenset((b"1049", b"1054", b"1146", b"1147", b"1305", b"1356"))
"""No such database, column, table, grant on one, routine; a view of one of these."""

log = logging.getLogger(__name__)


class _Said:
    """The errors that a client tells of the statements that it goes on after, each looked at as it comes."""

    def __init__(self) -> None:
        self.of_gone, self.other = False, b""

    def line(self, line: bytes) -> None:
        match = _ERROR_NUMBER.match(line)
        if match is not None and match[1] in _GONE:
            self.of_gone = True
        elif match is not None and not self.other:
            self.other = line


def feed_what_can_be(dataset: Dataset, chunks: Iterable[bytes], what: str) -> None:
    """Given statements, load them but for those that name what is not there; `what` says in words what these are.

    Raise CommandFailed for any other failure.
    """
    argv = [*client(dataset, loading=True), "--force"]
    said = _Said()
    try:
        # it ends with 0 whatever failed (seen with 10.11), or with 1
        stderr = feed(argv, chunks, told=said.line)
    except CommandFailed as error:
        # one that was killed, or could not even be started, says of no statement what is wrong with it
        ended_itself = error.returncode is not None and error.returncode > 0
        if not (ended_itself and said.of_gone and not said.other):
            raise
        stderr = error.stderr
    if said.other:
        raise failure(argv, 1, said.other.decode("utf-8", "replace"))
    if said.of_gone:
        log.warning("%s: %s are left out: %s", dataset.name, what, stderr)
