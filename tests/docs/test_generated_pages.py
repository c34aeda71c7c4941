"""Generated pages are true: script/docs would write what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generators import Page, pages

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.path)
def test_the_page_is_up_to_date(page: Page) -> None:
    path = ROOT / page.path
    assert path.exists(), "run script/docs"
    assert path.read_text() == page.text(), "run script/docs"
