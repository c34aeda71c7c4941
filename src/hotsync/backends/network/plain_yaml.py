"""The part of YAML that network files use: mappings, lists, one-line values, quotes, [..], {..}; the rest is refused.

Every node knows its line. Anchors, tags, block texts and several documents mean nothing here, so nothing is lost by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hotsync.errors import ConfigError

_SPECIAL = set("&*!|>%@`?,[]{}\"'")
_DEEPEST = 50
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\[\"\\/])*)\"|'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a text, a list or a mapping (the one that is not None), with its place."""

    where: str
    text: str | None = None
    items: tuple[Node, ...] | None = None
    pairs: Mapping[str, Node] | None = None

    def refuse(self, why: str) -> ConfigError:
        """Return the error that tells a fault with the place of this value."""
        return ConfigError(document=self.where, faults=why)


@dataclass(frozen=True, slots=True)
class _Line:
    indent: int
    text: str
    where: str

    def refuse(self) -> ConfigError:
        return ConfigError(document=self.where, faults="this line is not understood")


def parse_yaml(path: str, text: str) -> Node:
    """Given a file, return what it says; raise ConfigError at the first line that is not of the plain kind."""
    lines = _lines(path, text)
    if not lines:
        return Node(path, pairs={})
    node, end = _block(lines, 0, 0)
    if end != len(lines):
        raise lines[end].refuse()
    return node


def _lines(path: str, text: str) -> list[_Line]:
    """Return the lines without comments; one whose brackets are open goes on in the next one."""
    found: list[_Line] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        bare = _without_comment(raw).rstrip()
        if not bare.strip() or (bare == "---" and not found):
            continue
        indent = len(bare) - len(bare.lstrip(" "))
        line = _Line(indent, bare.strip(), f"{path} line {number}")
        if bare[indent] == "\t" or bare in ("---", "..."):
            raise line.refuse()
        if found and _open(found[-1].text) > 0:
            last = found[-1]
            found[-1] = _Line(last.indent, f"{last.text} {line.text}", last.where)
        else:
            found.append(line)
    return found


def _without_comment(line: str) -> str:
    for place, sign in _bare(line):
        if sign == "#" and (place == 0 or line[place - 1] in " \t"):
            return line[:place]
    return line


def _open(text: str) -> int:
    """Return how many brackets are open at the end of a text."""
    return sum((sign in "[{") - (sign in "]}") for _, sign in _bare(text))


def _bare(text: str) -> Iterator[tuple[int, str]]:
    """Return the signs of a text that stand in no quotes, each with its place."""
    place = 0
    while place < len(text):
        quoted = _QUOTED.match(text, place) if place == 0 or text[place - 1] in " [{," else None
        if quoted:
            place = quoted.end()
            continue
        yield place, text[place]
        place += 1


def _block(lines: list[_Line], start: int, depth: int) -> tuple[Node, int]:
    """Return the list or mapping that begins at a line, and the line after it."""
    line = lines[start]
    if depth > _DEEPEST:
        raise line.refuse()
    if line.text == "-" or line.text.startswith("- "):
        return _list(lines, start, depth)
    return _mapping(lines, start, depth)


def _list(lines: list[_Line], start: int, depth: int) -> tuple[Node, int]:
    first, place = lines[start], start
    items: list[Node] = []
    while place < len(lines) and lines[place].indent == first.indent and re.match(r"-( |\Z)", lines[place].text):
        line = lines[place]
        rest = line.text[1:].lstrip()
        if not rest:
            node, place = _below(lines, place, line.indent, depth)
        elif _key(rest) is not None and rest[0] not in "[{":
            # a mapping that begins beside the dash: its other keys stand under its first one
            lines[place] = _Line(line.indent + len(line.text) - len(rest), rest, line.where)
            node, place = _mapping(lines, place, depth + 1)
        else:
            node, place = _value(rest, line), place + 1
        items.append(node)
    return Node(first.where, items=tuple(items)), place


def _mapping(lines: list[_Line], start: int, depth: int) -> tuple[Node, int]:
    first, place = lines[start], start
    pairs: dict[str, Node] = {}
    while place < len(lines) and lines[place].indent == first.indent:
        line = lines[place]
        found = _key(line.text)
        if found is None or found[0] in pairs:
            raise line.refuse()
        key, rest = found
        if rest:
            pairs[key], place = _value(rest, line), place + 1
        else:
            pairs[key], place = _below(lines, place, line.indent, depth)
    return Node(first.where, pairs=pairs), place


def _below(lines: list[_Line], place: int, indent: int, depth: int) -> tuple[Node, int]:
    """Return what stands below a key or dash: a block further in (a list may stand under its key), or nothing."""
    following = lines[place + 1] if place + 1 < len(lines) else None
    is_list = following is not None and following.indent == indent and following.text.startswith("- ")
    if following is not None and (following.indent > indent or (is_list and not lines[place].text.startswith("-"))):
        return _block(lines, place + 1, depth + 1)
    return Node(lines[place].where, text=""), place + 1


def _key(text: str) -> tuple[str, str] | None:
    """Return the key that a line begins with and what follows it, None if it does not begin with one."""
    quoted = re.match(r"(\"[^\"\\]*\"|'[^']*')\s*:(?:\s+(.*))?\Z", text)
    if quoted:
        return quoted.group(1)[1:-1], (quoted.group(2) or "").strip()
    plain = re.match(r"([^\s\"'&*!|>%@`?,\[\]{}#-][^#]*?)\s*:(?:\s+(.*))?\Z", text)
    return (plain.group(1), (plain.group(2) or "").strip()) if plain else None


def _value(text: str, line: _Line) -> Node:
    node, rest = _flow(text, line, 0) if text[0] in "[{\"'" else (_plain(text, line), "")
    if rest.strip():
        raise line.refuse()
    return node


def _plain(text: str, line: _Line) -> Node:
    if text[0] in _SPECIAL or text.startswith("- ") or ": " in text or text.endswith(":"):
        raise line.refuse()
    return Node(line.where, text=text)


def _flow(text: str, line: _Line, depth: int) -> tuple[Node, str]:
    """Return the value that a text begins with, and the rest."""
    text = text.lstrip()
    if not text or depth > _DEEPEST:
        raise line.refuse()
    if text[0] == "[":
        return _flow_list(text[1:], line, depth)
    if text[0] == "{":
        return _flow_mapping(text[1:], line, depth)
    quoted = _QUOTED.match(text)
    if quoted:
        double, single = quoted.groups()
        said = re.sub(r"\\(.)", r"\1", double) if double is not None else single.replace("''", "'")
        return Node(line.where, text=said), text[quoted.end() :]
    word = re.match(r"[^,\[\]{}]+", text)
    if word is None:
        raise line.refuse()
    return _plain(word.group().strip(), line), text[word.end() :]


def _flow_list(text: str, line: _Line, depth: int) -> tuple[Node, str]:
    items: list[Node] = []
    rest = text.lstrip()
    while not rest.startswith("]"):
        node, rest = _flow(rest, line, depth + 1)
        items.append(node)
        rest = _after(rest, "]", line)
    return Node(line.where, items=tuple(items)), rest[1:]


def _flow_mapping(text: str, line: _Line, depth: int) -> tuple[Node, str]:
    pairs: dict[str, Node] = {}
    rest = text.lstrip()
    while not rest.startswith("}"):
        found = re.match(r"(\"[^\"\\]*\"|'[^']*'|[^\s\"',\[\]{}][^,\[\]{}]*?)\s*:(?=[\s\"\[{])", rest)
        if found is None:
            raise line.refuse()
        key = found.group(1).strip("\"'")
        if key in pairs:
            raise line.refuse()
        pairs[key], rest = _flow(rest[found.end() :], line, depth + 1)
        rest = _after(rest, "}", line)
    return Node(line.where, pairs=pairs), rest[1:]


def _after(rest: str, end: str, line: _Line) -> str:
    """Return what follows a comma, or from the closing bracket on."""
    rest = rest.lstrip()
    if rest.startswith(","):
        return rest[1:].lstrip()
    if not rest.startswith(end):
        raise line.refuse()
    return rest
