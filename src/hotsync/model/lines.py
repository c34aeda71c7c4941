"""Lines of the files that the C library reads."""

from __future__ import annotations


def lines_of(text: str) -> list[str]:
    """Given the text of passwd or another file of accounts, return its lines: a newline ends one, and nothing else.

    str.splitlines also cuts at signs that somebody may have in the comment of an account (U+0085, U+2028, a form feed):
    written back, such a line would be two, and the account gone.
    """
    return text.removesuffix("\n").split("\n") if text else []
