"""`hotsync explain`: what becomes of paths and units, and by which rule; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hotsync.engine.explain import Side, side_of
from hotsync.errors import NotReady, UsageError
from hotsync.flows.history import path_of
from hotsync.model.explain import (
    SOCKET,
    UNIT_KINDS,
    Fate,
    Known,
    PathAnswer,
    UnitAnswer,
    UnitFacts,
    explain_path,
    explain_unit,
)
from hotsync.model.identity import Role
from hotsync.state.store import load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answers, in the order of the questions; `role` says whose rules they come from."""

    role: Role
    paths: tuple[tuple[PathAnswer, Known], ...]
    units: tuple[tuple[UnitAnswer, UnitFacts], ...]


def explain(paths: Paths, clock: Clock, words: tuple[str, ...]) -> Explanation:
    """Given paths and names of units, return what becomes of each.

    Raise UsageError for what is neither, NotReady on a SLAVE that holds no generation.
    """
    role = load_role(paths).role
    units = [word for word in words if "/" not in word and word.endswith(UNIT_KINDS)]
    asked = [_asked(word) for word in words if word not in units]
    if role is Role.SLAVE and not paths.manifest.exists():
        raise NotReady(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )
    side = side_of(paths, clock, role)
    facts = [side.unit(unit) for unit in units]
    return Explanation(
        role, tuple(_path(side, path) for path in asked), tuple((explain_unit(each), each) for each in facts)
    )


def _asked(word: str) -> str:
    if not word.startswith("/"):
        raise UsageError(
            reason=f"{word!r} is neither a path nor a unit.",
            hint="A path begins with a slash; a unit is named with its ending, such as mariadb.service.",
        )
    return path_of(word)


def _path(side: Side, path: str) -> tuple[PathAnswer, Known]:
    answer = explain_path(side.selection, path, side.mounted)
    known = side.known(answer)
    if not known.really:
        return _as_it_lies(answer, known), known
    # what a link leads to is another path, and that one is decided about
    meant = explain_path(side.selection, known.really.strip("/"), side.mounted)
    known = replace(side.known(meant), really=answer.path)
    return _as_it_lies(meant, known), known


def _as_it_lies(answer: PathAnswer, known: Known) -> PathAnswer:
    """A socket is left out by every run, whatever the rules say of its place."""
    gone = known.lies == SOCKET and answer.fate is Fate.CARRIED
    return replace(answer, fate=Fate.ABSENT) if gone else answer
