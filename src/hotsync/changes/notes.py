"""What a run has to say about single paths: the first of them, and how many there were."""

from __future__ import annotations

from dataclasses import dataclass, field

from hotsync.model.readable import shown_path
from hotsync.model.report import Notice

_KEPT = 500


@dataclass(slots=True)
class Notes:
    """Gathers notices in bounded memory."""

    count: int = 0
    kept: list[Notice] = field(default_factory=list[Notice])

    def add(self, code: str, path: str, reason: str) -> None:
        """Add one notice about a path."""
        self.count += 1
        if len(self.kept) < _KEPT:
            self.kept.append(Notice(code, f"{shown_path(path)}: {reason}", path))

    def notices(self) -> tuple[Notice, ...]:
        """Return what was kept, and one line for the rest."""
        rest = self.count - len(self.kept)
        return (*self.kept, Notice("more", f"and {rest} more such paths")) if rest else tuple(self.kept)
