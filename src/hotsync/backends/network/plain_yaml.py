"""YAML as network files use it: mappings, lists and texts, each with its place; what means nothing there is refused.

The reader is PyYAML's, up to its events: they know their lines, and nothing is made of a value but its text. Anchors,
tags, texts over several lines and several documents are refused, and so is a key that comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from hotsync.errors import ConfigError

_DEEPEST = 50


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


def parse_yaml(path: str, text: str) -> Node:
    """Given a file, return what it says; raise ConfigError at the first line that is not of the plain kind."""
    document = _Document(path)
    try:
        events = iter(yaml.parse(text, yaml.SafeLoader))
        found = [document.node(event, events, 0) for event in events if not isinstance(event, _FRAME)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise document.refusal(mark) from error
    if len(found) > 1:
        raise found[1].refuse("this line is not understood")
    return found[0] if found and found[0].text != "" else Node(path, pairs={})


_FRAME = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


@dataclass(frozen=True, slots=True)
class _Document:
    path: str

    def refusal(self, mark: object) -> ConfigError:
        return ConfigError(document=self._where(mark), faults="this line is not understood")

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        """Given an event that begins a value and those that follow, return the value."""
        mark, plain = event.start_mark, _is_plain(event)
        if not plain or depth > _DEEPEST:
            raise self.refusal(mark)
        match event:
            case yaml.ScalarEvent():
                return Node(self._where(mark), text=event.value)
            case yaml.SequenceStartEvent():
                return Node(self._where(mark), items=tuple(self._items(events, depth)))
            case _:
                return Node(self._where(mark), pairs=self._pairs(events, depth))

    def _items(self, events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self.node(event, events, depth + 1)

    def _pairs(self, events: Iterator[yaml.Event], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.node(event, events, depth + 1)
            if key.text is None or key.text in found:
                raise self.refusal(event.start_mark)
            found[key.text] = self.node(next(events), events, depth + 1)
        return found

    def _where(self, mark: object) -> str:
        line = _line(mark)
        return self.path if line is None else f"{self.path} line {line + 1}"


def _line(mark: object) -> int | None:
    line: int | None = getattr(mark, "line", None)  # PyYAML has two classes of marks, and an event may have none
    return line


def _is_plain(event: yaml.Event) -> bool:
    """Return whether a value has no anchor, no tag, and no text over several lines."""
    if isinstance(event, yaml.ScalarEvent):
        one_line = _line(event.start_mark) == _line(event.end_mark) and event.style not in ("|", ">")
        return one_line and event.anchor is None and event.tag is None
    if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
        return event.anchor is None and event.tag is None
    return False
