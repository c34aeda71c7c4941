"""Loads statements of which some may name what is not there (any more), and says which these were."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.client import client
from hotsync.sources.source import Dataset
from hotsync.sources.stream import feed

_ERROR_NUMBER = re.compile(r"^ERROR (\d+)", re.MULTILINE)
_GONE = frozenset(("1049", "1054", "1146", "1147", "1305", "1356"))
"""No such database, column, table, grant on one, routine; a view of one of these."""

log = logging.getLogger(__name__)


def feed_what_can_be(dataset: Dataset, chunks: Iterable[bytes], what: str) -> None:
    """Given statements, load them but for those that name what is not there; `what` says in words what these are.

    Raise CommandFailed for any other failure.
    """
    try:
        feed([*client(dataset, loading=True), "--force"], chunks)
    except CommandFailed as error:
        if not set(_ERROR_NUMBER.findall(error.stderr)) <= _GONE:
            raise
        log.warning("%s: %s are left out: %s", dataset.name, what, error.stderr)
