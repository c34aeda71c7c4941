"""On the MASTER: what the site's lists and plugins said when they could last be read and run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hotsync.model.selection import Action, Rule
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SCHEMA = 1
Line = tuple[Action, str]
"""A line of one of the two lists that a plugin is given."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a plugin did to the lists."""

    added: tuple[Line, ...] = ()
    removed: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteMemory:
    """The rules of each list by its path, and the effect of each plugin by its path."""

    lists: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict[str, tuple[Rule, ...]])
    plugins: Mapping[str, Effect] = field(default_factory=dict[str, Effect])


def load_site(paths: Paths) -> SiteMemory:
    """Return what is remembered of the site; damage counts as nothing."""
    try:
        document = json.loads(paths.site_memory.read_bytes())
        if document["schema"] != SCHEMA:
            return SiteMemory()
        return SiteMemory(
            {path: tuple(Rule(str(pattern), Action(action), str(place)) for pattern, action, place in rules)
             for path, rules in document["lists"].items()},
            {path: Effect(_lines(effect["added"]), _lines(effect["removed"]))
             for path, effect in document["plugins"].items()},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return SiteMemory()


def save_site(paths: Paths, memory: SiteMemory) -> None:
    """Remember what the site said, if that is news; raise OSError."""
    if memory == load_site(paths):
        return
    document = {
        "schema": SCHEMA,
        "lists": {path: [(one.pattern, one.action, one.origin) for one in memory.lists[path]] for path in memory.lists},
        "plugins": {path: {"added": one.added, "removed": one.removed} for path, one in memory.plugins.items()},
    }
    paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(paths.site_memory, json.dumps(document).encode("ascii"), mode=0o600)


def _lines(found: Iterable[tuple[str, str]]) -> tuple[Line, ...]:
    return tuple((Action(action), str(line)) for action, line in found)
