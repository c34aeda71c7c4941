"""A process that dies right before a chosen one of the calls that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Cut(Exception):
    """The machine died."""


@contextmanager
def dying_before(
    number: int, calls: Iterable[tuple[object, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[int]]:
    """Raise Cut right before the `number`-th of these calls (owner and name; 0: never); yield how many there were."""
    count = [0]

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: object, **named: object) -> Any:
            count[0] += 1
            if count[0] == number:
                raise Cut
            return original(*args, **named)

        return dying

    with monkeypatch.context() as patch:
        for owner, name in calls:
            patch.setattr(owner, name, wrap(getattr(owner, name)))
        yield count
