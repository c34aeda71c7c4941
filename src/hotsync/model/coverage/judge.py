"""Whether something protects a path: the rules, the list of what is no data, the packages, the mounts. Pure.

Nothing is told without a reason, and nothing is kept quiet without one.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.coverage.not_data import reason_of, with_not_data
from hotsync.model.disk_tables import SHARES
from hotsync.model.explain import Mounted
from hotsync.model.scope import Scope, scope_of
from hotsync.model.selection import Action, Rule, Selection


class Cover(StrEnum):
    """What a path is: carried, left out by a rule, no data, a package's, on another server, or covered by nothing."""

    CARRIED = "carried"
    DECIDED = "decided"
    NO_DATA = "no data"
    PACKAGE = "package"
    ELSEWHERE = "elsewhere"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a path is, and why."""

    cover: Cover
    reason: str = ""

    @property
    def is_covered(self) -> bool:
        """Say whether nobody needs to look at it."""
        return self.cover is not Cover.NOTHING


_FOR_A_BOOT = frozenset(("tmpfs", "ramfs", "devtmpfs"))
_MEDIA = frozenset(("iso9660", "udf", "squashfs", "erofs", "cramfs"))


def mount_reason(kind: str, pseudo: Container[str]) -> Judged:
    """Given the type of a file system that no rule names, return what lies on it."""
    if kind in pseudo:
        return Judged(Cover.NO_DATA, "the kernel's own")
    if kind in _FOR_A_BOOT:
        return Judged(Cover.NO_DATA, "lives until the next boot")
    if kind in _MEDIA:
        return Judged(Cover.NO_DATA, "a read-only image")
    if kind in SHARES:
        return Judged(Cover.ELSEWHERE, f"a share ({kind}): its data lies on another server")
    return Judged(Cover.NOTHING, f"a mounted file system ({kind}) that no rule names")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a folder on the way: what the rules say there, or what it is instead of what they say."""

    scope: Scope
    judged: Judged | None = None


class Judge:
    """Says of any path whether something protects it; `owned` are the paths that packages brought."""

    def __init__(self, selection: Selection, mounted: Mounted, owned: Container[str] = frozenset()) -> None:
        self.root = Standing(scope_of(with_not_data(selection)))
        self._mounted, self._owned = mounted, owned

    def __call__(self, path: str) -> Judged:
        """Given an absolute path, return what it is."""
        standing, walked = self.root, ""
        for name in path.strip("/").split("/"):
            walked = f"{walked}/{name}"
            standing = self.enter(standing, name, walked)
        return standing.judged or self.rest(walked)

    def enter(self, standing: Standing, name: str, path: str) -> Standing:
        """Given what holds in a folder, return what holds at a name in it, whose absolute path is given."""
        scope = standing.scope.child(name)
        if (kind := self._mounted.table.get(path[1:])) is not None:
            entered = self._across(scope, path[1:], kind)
            if entered.judged is not None:
                return entered
            scope = entered.scope
        if scope.rule is not None:
            return Standing(scope, _decided(scope.rule))
        return Standing(scope, standing.judged)

    def rest(self, path: str) -> Judged:
        """Given a path of which no rule speaks, return what it is."""
        if path in self._owned:
            return Judged(Cover.PACKAGE, "comes with its package")
        return Judged(Cover.NOTHING, "no rule names it")

    def _across(self, scope: Scope, point: str, kind: str) -> Standing:
        if point in self._mounted.allowed:
            return Standing(scope)
        entered = scope.across(allowed=False, pseudo=kind in self._mounted.pseudo)
        if entered.rule is None and scope.rule is not None and not scope.carried:
            return Standing(scope)  # what a rule leaves out, it leaves out with all that is mounted in it
        if entered.rule is not None:
            return Standing(entered)
        return Standing(entered, mount_reason(kind, self._mounted.pseudo))


def _decided(rule: Rule) -> Judged:
    if reason := reason_of(rule):
        return Judged(Cover.NO_DATA, reason)
    if rule.action is Action.INCLUDE:
        return Judged(Cover.CARRIED, rule.origin)
    return Judged(Cover.DECIDED, f"{rule.action.value} {rule.pattern} ({rule.origin})")
