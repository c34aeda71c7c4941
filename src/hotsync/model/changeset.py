"""The canonical form of a changeset: one JSON object a line, sorted by `sort_key`; the form that is hashed and sent.

What a peer sends is read by `parse_change`, which accepts exactly what `render_change` writes and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quoted
from typing import cast

from hotsync.errors import ProtocolError
from hotsync.model.entry import Change, Entry, Kind, Verb, parent_of, sort_key

MAX_PATH = 4096
MAX_NAME = 255
MAX_LINE = 64 * 1024
_NUMBERS = ("mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "device", "links", "rdev", "flags")
_TEXTS = ("target", "attributes")
_INTEGERS = {int}
_UNLAWFUL = frozenset((b"", b".", b".."))
_VERBS = {verb.value: verb for verb in Verb}
_KINDS = {kind.value: kind for kind in Kind}
_decode = json.JSONDecoder().decode
_UNSETTLED = '"unsettled":true,'
_KEYS = frozenset(("verb", "path", "kind", "source", "unsettled", *_NUMBERS, *_TEXTS))

EMPTY_DIGEST = "0" * 64


def render_change(change: Change) -> bytes:
    """Return the one canonical line of a change, with its newline: its keys sorted, zeros and empty texts left out."""
    # written by hand, as millions of lines are; the test holds it against json.dumps
    entry, path = change.entry, quoted(change.path)
    source = f'"source":{quoted(change.source)},' if change.source else ""
    if entry is None:
        return f'{{"path":{path},{source}"verb":"{change.verb.value}"}}\n'.encode("ascii")
    line = (
        f"{{{_text_field('attributes', entry.attributes)}{_field('ctime_ns', entry.ctime_ns)}"
        f"{_field('device', entry.device)}{_field('flags', entry.flags)}{_field('gid', entry.gid)}"
        f'{_field("inode", entry.inode)}"kind":"{entry.kind.value}",{_field("links", entry.links)}'
        f'{_field("mode", entry.mode)}{_field("mtime_ns", entry.mtime_ns)}"path":{path},'
        f"{_field('rdev', entry.rdev)}{_field('size', entry.size)}{source}"
        f"{_text_field('target', entry.target)}{_field('uid', entry.uid)}"
        f'{_UNSETTLED if entry.unsettled else ""}"verb":"{change.verb.value}"}}\n'
    )
    return line.encode("ascii")


def _field(name: str, value: int) -> str:
    return f'"{name}":{value},' if value else ""


def _text_field(name: str, value: str) -> str:
    return f'"{name}":{quoted(value)},' if value else ""


def parse_change(line: bytes) -> Change:
    """Given a line from the peer, return the change; raise ProtocolError unless it is exactly canonical and safe."""
    if len(line) > MAX_LINE:
        raise ProtocolError(reason="a changeset line is too long")
    try:
        document = _decode(line.decode("ascii"))
        change = _change_of(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(reason=f"a changeset line is malformed ({error})") from error
    if render_change(change) != line:
        raise ProtocolError(reason="a changeset line is not in its canonical form")
    return change


def _change_of(document: dict[str, object]) -> Change:
    if not isinstance(document, dict) or not document.keys() <= _KEYS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("unknown keys")
    verb = _VERBS[_text(document["verb"])]
    path = checked_path(document["path"])
    source = checked_path(document["source"]) if verb is Verb.MOVED else ""
    if verb is Verb.DELETE:
        return Change(verb, path)
    kind = _KINDS[_text(document["kind"])]
    numbers = [document.get(name, 0) for name in _NUMBERS]
    if set(map(type, numbers)) != _INTEGERS:  # true and false are instances of int
        raise ValueError("a number is none")
    mode, uid, gid, size, mtime_ns, ctime_ns, inode, device, links, rdev, flags = cast("list[int]", numbers)
    if (
        min(mode, uid, gid, size, inode, device, links, rdev, flags) < 0
        or mode > 0o7777
        or max(uid, gid, size, mtime_ns, ctime_ns, links, flags) >= 2**63
        or min(mtime_ns, ctime_ns) < -(2**63)
        or max(inode, device, rdev) >= 2**64
    ):
        raise ValueError("a number is out of range")
    target, attributes = _text(document.get("target", "")), _text(document.get("attributes", ""))
    unsettled = document.get("unsettled", False) is True
    entry = Entry(
        path, kind, mode, uid, gid, size, mtime_ns, ctime_ns, inode, device, links, rdev, target, attributes, flags,
        unsettled,
    )  # fmt: skip
    return Change(verb, path, entry, source)


def recall_change(line: bytes) -> Change:
    """Given a line that this host wrote itself, return its change, without the checks that a peer's needs.

    They are what most of reading costs, and millions of lines are read several times. Raise ProtocolError if it is
    damaged.
    """
    try:
        document = _decode(line.decode("ascii"))
        verb, path, get = _VERBS[document["verb"]], document["path"], document.get
        if verb is Verb.DELETE:
            return Change(verb, path)
        mode, uid, gid, size, mtime, ctime, inode, device, links, rdev, flags = [get(name, 0) for name in _NUMBERS]
        entry = Entry(
            path, _KINDS[document["kind"]], mode, uid, gid, size, mtime, ctime, inode, device, links, rdev,
            get("target", ""), get("attributes", ""), flags, get("unsettled", False),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(reason=f"a line of a changeset of our own is damaged ({error})") from error
    return Change(verb, path, entry, get("source", ""))


def checked_path(value: object) -> str:
    """Given a path from the peer, return it; raise ValueError unless it is relative, clean and of lawful length."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path is empty or holds a NUL")
    encoded = value.encode("utf-8", "surrogateescape")
    if len(encoded) > MAX_PATH:
        raise ValueError("a path is too long")
    names = encoded.split(b"/")
    if not _UNLAWFUL.isdisjoint(names) or (len(encoded) > MAX_NAME and max(map(len, names)) > MAX_NAME):
        raise ValueError("a path has an empty, dotted or overlong part")
    if not value.isascii() and encoded.decode("utf-8", "surrogateescape") != value:
        raise ValueError("a path is not in its canonical form")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PATH or "\0" in value:
        raise ValueError("a text is too long or holds a NUL")
    return value


def check_order(changes: Iterable[Change]) -> Iterator[Change]:
    """Pass changes on; raise ProtocolError where they are not sorted, or where a path would lie inside a non-folder."""
    last: bytes | None = None
    blocked: tuple[str, str] | None = None  # a path that is no folder in the new generation, and what it is
    for change in changes:
        key = sort_key(change.path)
        if last is not None and key <= last:
            raise ProtocolError(reason="a changeset is not sorted")
        last = key
        if blocked is not None and change.path.startswith(blocked[0] + "/"):
            if change.verb is not Verb.DELETE:
                raise ProtocolError(reason=f"a changeset puts a path inside a {blocked[1]}")
        elif change.verb is Verb.DELETE:
            blocked = (change.path, "deleted folder")
        elif change.entry is not None and change.entry.kind is not Kind.DIRECTORY:
            blocked = (change.path, "path that is no folder")
        yield change


def chain_digest(previous: str, lines: Iterable[bytes]) -> str:
    """Given the last digest and the canonical lines of the next changeset, return the next digest (hex)."""
    digest = hashlib.sha256(bytes.fromhex(previous))
    for line in lines:
        digest.update(line)
    return digest.hexdigest()


def folders_of(path: str) -> Iterator[str]:
    """Given a path, return the folders above it, deepest first, without the root."""
    while path := parent_of(path):
        yield path
