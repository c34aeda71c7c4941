"""The text format of the e-smith databases, lines of `key=type|prop|value|...`: pure, no file is touched here.

Text is UTF-8 with undecodable bytes as surrogates, so that every byte survives. Order is always that of the bytes.
What the format can and cannot hold is written down in docs/decisions/0010.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hotsync.errors import UsageError

_BLANKS = " \t\n\r\f\v"
_SEPARATOR = re.compile(r"(?<!\\)\|")
_HEADER = """\
# This file belongs to the commands "config" and "db".
# What is changed by hand here, comments above all, is lost
# when one of them writes the file again: use them instead,
# for example "config setprop KEY PROP VALUE".
#
# updated: {updated}
"""
_SECRET_WORDS = ("password", "passwd", "passphrase", "secret", "token", "credential", "privatekey", "apikey")
_SECRET_NAMES = ("pass", "pw", "psk", "pin")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its type (None where the line holds nothing) and its props; a prop without a value is None."""

    type: str | None
    props: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])

    def with_props(self, props: Mapping[str, str]) -> Record:
        """Given props, return the record with these set and all others kept."""
        return replace(self, props={**self.props, **props})

    def without_props(self, names: Iterable[str]) -> Record:
        """Given names of props, return the record without them."""
        gone = frozenset(names)
        return replace(self, props={name: value for name, value in self.props.items() if name not in gone})

    def sorted_props(self) -> list[tuple[str, str | None]]:
        """Return names and values in the order of the file."""
        return sorted(self.props.items(), key=lambda pair: to_bytes(pair[0]))


def to_text(data: bytes) -> str:
    """Given bytes of a file or an argument, return them as text that `to_bytes` turns back exactly."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Given text of this room, return its bytes."""
    return text.encode("utf-8", "surrogateescape")


def parse_document(data: bytes) -> dict[str, str | None]:
    """Given a file, return key -> value as stored; None is a line without `=`. Comments and blank lines are skipped."""
    document: dict[str, str | None] = {}
    for line in to_text(data).split("\n"):
        start = line.lstrip(_BLANKS)
        if start and not start.startswith("#"):
            key, equals, value = line.partition("=")
            document[key] = value if equals else None
    return document


def render_document(document: Mapping[str, str | None], updated: str) -> bytes:
    """Given stored values and the time as text, return the file."""
    lines = [f"{key}={value or ''}\n" for key, value in sorted(document.items(), key=lambda pair: to_bytes(pair[0]))]
    return to_bytes(_HEADER.format(updated=updated) + "".join(lines))


def trim(text: str) -> str:
    """Given a key or a whole value, return it without the blanks that the format does not keep."""
    return text.strip(_BLANKS)


def with_newlines(stored: str) -> str:
    r"""Given a stored value, return it with each `\n` as the newline that it stands for."""
    return stored.replace("\\n", "\n")


def parse_value(stored: str) -> Record:
    """Given a stored value, return its record; of a prop that comes twice the last one counts."""
    if not stored:
        return Record(None)
    kind, *fields = _SEPARATOR.split(with_newlines(stored))
    values: list[str | None] = [*fields[1::2], None]
    return Record(kind, dict(zip(fields[::2], values, strict=False)))


def render_value(record: Record) -> str:
    r"""Given a record, return the value to store; raise UsageError if reading it back would shift its props.

    A `|` in a value is stored as `\|`, which readers do not take for a separator; in a type or a name it is refused.
    """
    fields = [record.type or ""]
    for name, value in record.sorted_props():
        fields += [name, _SEPARATOR.sub(r"\\|", value or "")]
    stored = trim("|".join(fields).replace("\n", "\\n"))
    if len(_SEPARATOR.split(with_newlines(stored))) != len(fields):
        raise UsageError(
            reason="a type or prop with a |, or anything that ends in a backslash, would change what follows it",
            hint="Choose a name without a | and a value without a backslash at its end.",
        )
    return stored


def plain(value: str) -> str:
    r"""Given a prop's value as read, return it as it was meant: `\|` is a `|`."""
    return value.replace("\\|", "|")


def check_key(key: str) -> str:
    """Given the key of a record to be written, return it trimmed; raise UsageError if the format cannot hold it."""
    trimmed = trim(key)
    if not trimmed or trimmed.startswith("#") or any(sign in trimmed for sign in "\n|="):
        raise UsageError(
            reason=f"{trimmed!r} cannot be the key of a record",
            hint="A key is not empty, holds no newline, | or =, and does not start with #.",
        )
    return trimmed


def is_secret(name: str) -> bool:
    """Given the name of a prop or record, return whether its value must not be shown."""
    lowered = name.lower().replace("_", "").replace("-", "")
    return lowered in _SECRET_NAMES or any(word in lowered for word in _SECRET_WORDS)


def masked(key: str, stored: str) -> str:
    """Given a record's key and stored value, return the value with every secret in it as ***.

    Where props do not come in pairs (an old file with a bare `|` in a value) all from the first secret on is hidden.
    """
    kind, *fields = _SEPARATOR.split(stored)
    if is_secret(key) and kind and not fields:
        return _HIDDEN
    if len(fields) % 2:
        return "|".join([kind, *_hide_from_first_secret(fields)])
    pairs = zip(fields[::2], fields[1::2], strict=True)
    shown = [f"{name}|{_HIDDEN if value and is_secret(name) else value}" for name, value in pairs]
    return "|".join([kind, *shown])


def _hide_from_first_secret(fields: list[str]) -> list[str]:
    for index, text in enumerate(fields):
        if is_secret(text):
            return [*fields[: index + 1], _HIDDEN]
    return fields
