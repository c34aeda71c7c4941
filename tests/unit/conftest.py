"""Every unit test is watched: see tests/support/confinement.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.confinement import Watch

_WATCH = Watch()


@pytest.fixture(autouse=True)
def confined() -> Iterator[None]:
    """Fail the test that runs a program or opens a socket, also when it hides that or does it in a thread."""
    _WATCH.seen.clear()
    _WATCH.armed = True
    try:
        yield
    finally:
        _WATCH.armed = False
    if _WATCH.seen:
        pytest.fail(f"the test reached outside: {'; '.join(_WATCH.seen)}")
