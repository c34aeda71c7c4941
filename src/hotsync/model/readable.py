"""Text of other origins (paths, names that the MASTER told) as it may be shown: nothing in it can move a cursor."""

from __future__ import annotations

import re


def readable(text: str, *, lines: bool = False) -> str:
    """Given any text, return it with what cannot be printed, and bytes that are no UTF-8, as \\x.. escapes.

    A newline is escaped too, unless the text is meant to have `lines`.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or (lines and sign == "\n") else _escape(sign) for sign in text)


def readable_lines(text: str) -> str:
    """Given a text that may have lines (all faults of a document), return it readable; none passes for one of ours."""
    return re.sub(r"\n(?! )", "\n  ", readable(text, lines=True))


def shown_path(path: str) -> str:
    """Given a protected path, return it as one line: from the root, with nothing in it that moves a cursor."""
    return readable(f"/{path}")


def _escape(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
