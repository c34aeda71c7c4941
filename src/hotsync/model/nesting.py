"""Which path lies in which folder, by their names alone: paths without a slash at the end and without `..`."""

from __future__ import annotations


def lies_in(path: str, folder: str) -> bool:
    """Return whether a path is a folder, or lies below it."""
    return f"{path}/".startswith(f"{folder}/")


def meet(one: str, other: str) -> bool:
    """Return whether one of two paths is the other, or lies below it."""
    return lies_in(one, other) or lies_in(other, one)
