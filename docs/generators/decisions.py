"""docs/decisions/README.md: how decisions are kept, and the index of the records."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generators import table

PATH = "docs/decisions/README.md"
FOLDER = Path(__file__).resolve().parents[1] / "decisions"
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")

INTRODUCTION = """# Decisions

One page for each decision that a reader of the code would otherwise have to guess. A page is changed only by what
really changed; a decision that was given up stays, with a line that names the page that replaced it.

The form, a page at most:

    # NNNN What was decided, as a sentence's core

    Date: YYYY-MM-DD. Status: in force | replaced by NNNN.

    ## Why it came up
    What we met: the promise, the fact, the measurement.

    ## Decision
    What holds from now on. Short sentences that can be checked.

    ## What it costs
    What gets harder, what we gave up, when to look at it again.

    ## What else was looked at
    Each with the one reason against it.

Numbers are given once; gaps mean nothing. `script/docs` writes the index below.

## The records

"""


def render() -> str:
    """Return the page; raise ValueError for a record without title or status."""
    return INTRODUCTION + table(("record", "status"), [_row(path) for path in sorted(FOLDER.glob("[0-9]*.md"))])


def _row(path: Path) -> tuple[str, str]:
    lines = path.read_text().splitlines()
    title = lines[0].removeprefix("# ")
    said = next((line.partition("Status: ")[2] for line in lines[:8] if "Status: " in line), "")
    status = _LINK.sub(r"\1", said).partition(".")[0]
    if not title.startswith(path.name[:4]) or not status:
        raise ValueError(f"{path.name} does not begin with its number, a title, and its date and status")
    return f"[{title}]({path.name})", status
