"""Versions of servers as far as they decide what can be loaded where."""

from __future__ import annotations


def release(version: str) -> tuple[int, ...]:
    """Given a version, return the two numbers of it that count."""
    return tuple(int(word) for word in version.split(".")[:2] if word.isdigit())
