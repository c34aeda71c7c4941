"""Writes the generated pages; with --check only says which are out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.generators import pages

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Write (or check) every page; return 1 if one was out of date and --check forbade to write."""
    stale = 0
    for page in pages():
        path, text = ROOT / page.path, page.text()
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        print(f"{page.path}: {'out of date' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
