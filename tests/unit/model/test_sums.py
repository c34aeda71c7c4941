"""The line of a sum, as it comes from the other server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import ProtocolError
from hotsync.model.sums import parse_sum, render_sum

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read(path: str, digest: bytes) -> None:
    assert parse_sum(render_sum(path, digest)) == (path, digest)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]\n",
        b'["a"]\n',
        b'{"a": 1}\n',
        b'["a","' + b"0" * 63 + b'"]\n',
        b'["a","' + b"g" * 64 + b'"]\n',
        b'["a","' + b"A" * 64 + b'"]\n',
        b'["a","' + b"0" * 64 + b'",1]\n',
        b'["../a","' + b"0" * 64 + b'"]\n',
        b'["/a","' + b"0" * 64 + b'"]\n',
        b'["a\\u0000b","' + b"0" * 64 + b'"]\n',
        b'["a", "' + b"0" * 64 + b'"]\n',
        b'["a","' + b"0" * 64 + b'"]',
        b'["' + b"a" * 70_000 + b'","' + b"0" * 64 + b'"]\n',
        b"[" * 60_000 + b"\n",
        b"\xff\n",
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_sum(line)
