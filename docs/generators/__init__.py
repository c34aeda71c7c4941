"""The generated pages of docs/: each module here names its page (`PATH`) and writes it (`render`)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

REMARK = "<!-- Written by script/docs; change the code it comes from, not this page. -->\n\n"


@dataclass(frozen=True, slots=True)
class Page:
    """One generated page: its path in the repository and the function that writes it."""

    path: str
    render: Callable[[], str]

    def text(self) -> str:
        """Return the page as it should be."""
        # JSON has no place for a remark
        return self.render() if self.path.endswith(".json") else REMARK + self.render()


def pages() -> Iterator[Page]:
    """Return all generated pages."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            loaded = importlib.import_module(f"{__name__}.{module.name}")
            yield Page(loaded.PATH, loaded.render)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Given the head and the rows, return a table in Markdown."""
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
