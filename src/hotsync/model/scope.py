"""The selection from the view of a walk: what holds in a folder, and what changes with the next name.

A scope is a state: it does not know its path, only what the rules can still say below it. Most folders of a server
share a handful of scopes, so that a walk decides by a look into a dictionary, or, where `uniform`, not at all. The
property test in tests/unit/model compares it with `Selection.decide`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hotsync.model.selection import Action, Rule, Selection, rank_of, segments_of, translate_name

_Rank = tuple[int, bool, int]
_State = tuple[int, int]  # number of a wildcard rule, and which of its segments the next name must match
_NOTHING: _Rank = (-1, False, -1)


@dataclass(slots=True)
class _Node:
    """A folder on the way to a rule without wildcards."""

    rule: Rule | None = None
    carries: bool = False  # an include at or below this node
    children: dict[str, _Node] = field(default_factory=dict[str, "_Node"])


@dataclass(frozen=True, slots=True)
class _Glob:
    rule: Rule
    rank: _Rank
    segments: tuple[str, ...]

    @property
    def includes(self) -> bool:
        """Say whether the rule carries what it names."""
        return self.rule.action is Action.INCLUDE


class Scope:
    """What the rules say of one folder and can still say below it."""

    __slots__ = ("_anywhere", "_child", "_exact", "_node", "_otherwise", "_patterns", "_rank", "_states", "_table",
                 "carried", "may_carry_below", "rule", "uniform")  # fmt: skip

    def __init__(
        self, table: _Table, rank: _Rank, rule: Rule | None, node: _Node | None, states: frozenset[_State]
    ) -> None:
        self._table, self._rank, self._node, self._states = table, rank, node, states
        self.rule = rule
        self.carried = rule is not None and rule.action is Action.INCLUDE
        self.uniform = not states and (node is None or not node.children)
        below = node.children.values() if node is not None else ()
        self.may_carry_below = any(child.carries for child in below) or any(
            table.globs[number].includes for number, _ in states
        )
        self._exact: dict[str, list[_State]] = {}
        self._patterns: list[tuple[re.Pattern[str], _State]] = []
        self._anywhere: list[_State] = []
        for number, position in sorted(states):
            segment = table.globs[number].segments[position]
            if segment == "**":
                self._anywhere.append((number, position))
            elif (pattern := translate_name(segment)) is None:
                self._exact.setdefault(segment, []).append((number, position))
            else:
                self._patterns.append((pattern, (number, position)))
        self._child: dict[str, Scope] = {}
        self._otherwise: Scope | None = None

    def child(self, name: str) -> Scope:
        """Given a name in this folder, return the scope of what bears it."""
        known = self._child.get(name)
        if known is not None:
            return known
        node = self._node.children.get(name) if self._node is not None else None
        met = [*self._exact.get(name, ()), *(state for pattern, state in self._patterns if pattern.match(name))]
        if node is None and not met:
            if self._otherwise is None:
                self._otherwise = self._enter(None, ())
            return self._otherwise
        scope = self._enter(node, met)
        if node is not None or name in self._exact:
            self._child[name] = scope  # as many as there are names in rules, not in folders
        return scope

    def barred(self) -> Scope:
        """Return the scope with what it inherited taken away: only rules for this very path or below it include."""
        states = {state for state in self._states if not self._table.globs[state[0]].includes}
        if self._node is None or self._node.rule is None:
            return self._table.scope(_NOTHING, None, self._node, states)
        return self._table.scope(rank_of(self._node.rule), self._node.rule, self._node, states)

    def across(self, *, allowed: bool, pseudo: bool) -> Scope:
        """Return the scope of a mount point: what it would inherit counts only where that is `allowed`.

        A `pseudo` file system holds nothing that could be carried.
        """
        named = self.barred()
        if not pseudo:
            if allowed or named.carried or (not self.carried and named.may_carry_below):
                return self
            if named.may_carry_below:
                return named
        return self.nothing()

    def nothing(self) -> Scope:
        """Return the scope in which nothing is carried."""
        return self._table.scope(_NOTHING, None, None, ())

    def _enter(self, node: _Node | None, met: Iterable[_State]) -> Scope:
        rank, rule = self._rank, self.rule
        if node is not None and node.rule is not None:
            rank, rule = max((rank, rule), (rank_of(node.rule), node.rule), key=_by_rank)
        states: set[_State] = set()
        for number, position in (*met, *self._anywhere):
            glob = self._table.globs[number]
            if position + 1 == len(glob.segments):
                rank, rule = max((rank, rule), (glob.rank, glob.rule), key=_by_rank)
            else:
                following = position if glob.segments[position] == "**" else position + 1
                states.update(_closed(glob, number, following))
        return self._table.scope(rank, rule, node, states)


class _Table:
    """The rules of a selection and the scopes met so far."""

    def __init__(self, selection: Selection) -> None:
        self.root = _tree_of(selection.literal_rules())
        self.globs = [
            _Glob(rule, rank_of(rule), segments)
            for rule in selection.wildcard_rules()
            for segments in segments_of(rule.pattern)
        ]
        self._scopes: dict[tuple[_Rank, Rule | None, int, frozenset[_State]], Scope] = {}

    def scope(self, rank: _Rank, rule: Rule | None, node: _Node | None, states: Iterable[_State]) -> Scope:
        """Return the scope for this state; rules that can no longer win below are dropped from it."""
        alive = frozenset(state for state in states if self.globs[state[0]].rank > rank)
        key = (rank, rule, id(node), alive)
        if key not in self._scopes:
            self._scopes[key] = Scope(self, rank, rule, node, alive)
        return self._scopes[key]


def scope_of(selection: Selection) -> Scope:
    """Given a selection, return the scope of the root folder."""
    table = _Table(selection)
    rank, rule = _NOTHING, None
    if table.root.rule is not None:
        rank, rule = rank_of(table.root.rule), table.root.rule
    states = {state for number, glob in enumerate(table.globs) for state in _closed(glob, number, 0)}
    return table.scope(rank, rule, table.root, states)


def _closed(glob: _Glob, number: int, position: int) -> Iterator[_State]:
    """Return the state, and those after `**` segments, which may stand for no folder at all."""
    yield (number, position)
    while glob.segments[position] == "**" and position + 1 < len(glob.segments):
        position += 1
        yield (number, position)


def _by_rank(candidate: tuple[_Rank, Rule | None]) -> _Rank:
    return candidate[0]


def _tree_of(rules: Iterable[tuple[str, Rule]]) -> _Node:
    root = _Node()
    for path, rule in rules:
        node = root
        on_the_way = [root]
        for name in path.split("/") if path else ():
            node = node.children.setdefault(name, _Node())
            on_the_way.append(node)
        node.rule = rule
        if rule.action is Action.INCLUDE:
            for passed in on_the_way:
                passed.carries = True
    return root
