"""The network's files that a promotion brought, as long as nobody has answered with them: a document's value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why this server's own files come back: nobody answered; it booted before anybody had; a person chose them."""

    SILENT = "silent"
    BOOT = "boot"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class NetworkTrial:
    """The trial of one promotion's network files (document network-trial.json).

    `files` are the network's files below /etc as HotSync put them last, each with a digest: what differs was changed by
    somebody. `back`: this server's own files come back, and why; `done`: they are all in place.
    """

    epoch: int
    files: tuple[tuple[str, str], ...] = ()
    back: Why | None = None
    done: bool = False
