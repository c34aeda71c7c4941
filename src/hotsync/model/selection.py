"""Which paths are protected: ordered rules, each with its origin, and one law that decides between them.

The law: the rule that names the path most closely wins. A rule without wildcards names a path more closely than one
with wildcards of the same depth; between equals, protect beats everything, then what the site says beats what a profile
says, which beats that something is mounted there; of one voice, include beats exclude.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache

from hotsync.model.entry import sort_key


class Action(StrEnum):
    """What a rule does: carry, do not carry, or keep the SLAVE's own."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    PROTECT = "protect"


class Voice(IntEnum):
    """Who says it; between rules that name a path equally closely, the higher one is heard."""

    MOUNT = 0
    PROFILE = 1
    SITE = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a profile or list: an absolute pattern (`*` stays within a folder, `**` does not) and whose it is."""

    pattern: str
    action: Action
    origin: str
    voice: Voice = Voice.SITE


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for a path and by which rule (None: nothing names it)."""

    action: Action
    rule: Rule | None


_WILDCARD = re.compile(r"[*?\[]")


class Selection:
    """The rules of one run, ready to be asked for each path of a walk."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(set(rules), key=lambda rule: (rule.pattern, rule.action, rule.origin, rule.voice)))
        self._literal: dict[str, Rule] = {}
        self._globs: list[tuple[re.Pattern[str], Rule]] = []
        for rule in self.rules:
            path = rule.pattern.strip("/")
            if _WILDCARD.search(path):
                self._globs.append((_compile(path), rule))
            elif path not in self._literal or _strength(rule) > _strength(self._literal[path]):
                self._literal[path] = rule
        self._prefixes = {folder for path in self._literal for folder in _folders(path)}

    def decide(self, path: str) -> Decision:
        """Given a path (no slash in front), return what happens to it and by which rule."""
        best = _Best()
        for candidate in (path, *_folders(path)):
            if rule := self._literal.get(candidate):
                best.offer(rule)
                break
        for pattern, rule in self._globs:
            if pattern.match(path):
                best.offer(rule)
        return Decision(best.rule.action if best.rule else Action.EXCLUDE, best.rule)

    def matching(self, path: str) -> tuple[Rule, ...]:
        """Given a path, return every rule that names it or a folder above it; the first one decides."""
        named = {path, *_folders(path)}
        plain = (rule for rule in self.rules if rule.pattern.strip("/") in named and not _WILDCARD.search(rule.pattern))
        wild = (rule for pattern, rule in self._globs if pattern.match(path))
        return tuple(sorted((*plain, *wild), key=rank_of, reverse=True))

    def inside(self, path: str) -> tuple[Rule, ...]:
        """Given a folder, return the rules without wildcards that name something in it."""
        start = f"{path}/" if path else ""
        return tuple(rule for named, rule in sorted(self._literal.items()) if named != path and named.startswith(start))

    def names(self, path: str) -> bool:
        """Return whether what decides for a path is said of it, not of a folder above it."""
        rule = self.decide(path).rule
        return rule is not None and rule != self.decide(path.rpartition("/")[0]).rule

    def roots(self) -> tuple[str, ...]:
        """Return the included paths that no included path above them carries already, in the order of a walk."""
        included = sorted((path for path, rule in self._literal.items() if rule.action is Action.INCLUDE), key=sort_key)
        roots: list[str] = []
        for path in included:
            if not roots or not (path + "/").startswith(roots[-1] + "/"):
                roots.append(path)
        return tuple(roots)

    def literal_rules(self) -> tuple[tuple[str, Rule], ...]:
        """Return the rules without wildcards, each with its path; of two for one path, the stronger."""
        return tuple(self._literal.items())

    def wildcard_rules(self) -> tuple[Rule, ...]:
        """Return the rules with wildcards."""
        return tuple(rule for _, rule in self._globs)

    def wanted_below(self, path: str) -> bool:
        """Given a folder that is not carried, return whether a rule names something inside it that may be."""
        return path in self._prefixes


@dataclass(slots=True)
class _Best:
    rank: tuple[int, bool, int] = (-1, False, -1)
    rule: Rule | None = None

    def offer(self, rule: Rule) -> None:
        rank = rank_of(rule)
        if rank > self.rank:
            self.rank, self.rule = rank, rule


def rank_of(rule: Rule) -> tuple[int, bool, int]:
    """Return how closely a rule names what it matches: the highest of all matching rules decides."""
    path = rule.pattern.strip("/")
    return (path.count("/") + 1 if path else 0, not _WILDCARD.search(path), _strength(rule))


def _strength(rule: Rule) -> int:
    if rule.action is Action.PROTECT:
        return 2 * len(Voice)
    return 2 * rule.voice + (rule.action is Action.INCLUDE)


def segments_of(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Given a pattern with wildcards, return it as lists of names, of which `**` stands for any number of folders.

    There are several where `**` is a part of a name (`a**b` is both `a*b` and `a*/**/*b`).
    """
    variants: list[tuple[str, ...]] = [()]
    for segment in _plain(pattern).split("/"):
        pieces = _PIECE.findall(segment)
        spelled: list[tuple[str, ...]] = [("**",)] if pieces == ["**"] else [("",)]
        for piece in pieces if pieces != ["**"] else ():
            longer = [(*names[:-1], names[-1] + ("*" if piece == "**" else piece)) for names in spelled]
            if piece == "**":
                longer += [(*names, "**", "*") for names in longer]
            spelled = longer
        variants = [(*names, *more) for names in variants for more in spelled]
    return tuple(variants)


def _folders(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|[^*?\[]+|\[")


def _plain(pattern: str) -> str:
    return re.sub(r"\*{3,}", "**", pattern.strip("/"))


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> re.Pattern[str]:
    """Translate a pattern; what it matches, and everything below that, is meant."""
    expression, before = "", "/"
    for piece in _PIECE.findall(_plain(pattern)):
        if piece == "**/":
            # it stands for no folder at all only where it begins a name
            expression += "(?:.*/)?" if before.endswith("/") else ".*/"
        else:
            expression += _translate(piece)
        before = piece
    return re.compile(expression + r"(?:/.*)?\Z", re.DOTALL)


@lru_cache(maxsize=4096)
def translate_name(segment: str) -> re.Pattern[str] | None:
    """Given one name of a pattern, return what matches it, or None if it has no wildcard."""
    if not _WILDCARD.search(segment):
        return None
    return re.compile("".join(map(_translate, _PIECE.findall(segment))) + r"\Z", re.DOTALL)


def _translate(piece: str) -> str:
    if piece in _STARS:
        return _STARS[piece]
    if piece.startswith("[") and piece.endswith("]"):
        # the standard library knows every corner of a set; no set holds the slash
        return "(?!/)" + fnmatch.translate("[!" + piece[2:] if piece[1] == "^" else piece)[4:-3]
    return re.escape(piece)


_STARS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
