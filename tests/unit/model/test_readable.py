"""Text of others, shown."""

from __future__ import annotations

import pytest

from hotsync.model.readable import readable, shown_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Umläute, 漢字", "plain, Umläute, 漢字"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("caf\udce9", "caf\\xe9"),
        ("a\r\tb", "a\\x0d\\x09b"),
        ("two\nlines", "two\\x0alines"),
        ("\u202eright to left", "\\u202eright to left"),
    ],
)
def test_what_cannot_be_printed_is_escaped_and_can_always_be_encoded(text: str, shown: str) -> None:
    assert readable(text) == shown
    readable(text).encode()


def test_a_text_that_is_meant_to_have_lines_keeps_them() -> None:
    assert readable("two\nlines\x1b", lines=True) == "two\nlines\\x1b"


def test_a_path_is_one_line_whatever_its_name_is() -> None:
    assert shown_path("srv/two\nlines/\udcff") == "/srv/two\\x0alines/\\xff"
