"""The rules of the MASTER that no profile has, as a document in the spool: the SLAVE plans a promotion with them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hotsync.errors import ReplicaError
from hotsync.model.selection import Action, Rule, Voice
from hotsync.state.facts import SPOOL_IN_TREE, read_document

SCHEMA = 1
DATASET = "rules"
DOCUMENT = "rules.json"
_MOST = 100_000


def render_rules(rules: Iterable[Rule]) -> bytes:
    """Given rules, return the document, the same for the same rules."""
    lines = sorted({(rule.pattern, rule.action.value, rule.origin, rule.voice.name.lower()) for rule in rules})
    listed = ",\n".join(json.dumps(line) for line in lines)
    return f'{{"schema": {SCHEMA},\n"rules": [{listed}]}}\n'.encode("ascii")


def load_rules(tree: Path) -> tuple[Rule, ...]:
    """Given a replica's tree, return the rules that the MASTER told; none if it told none.

    Raise ReplicaError if the document is malformed, larger than sense, or of a newer HotSync.
    """
    name = f"{SPOOL_IN_TREE}/{DATASET}/{DOCUMENT}"
    data = read_document(tree, name)
    if data is None:
        return ()
    try:
        document = json.loads(data)
        if document["schema"] > SCHEMA:
            raise ReplicaError(
                reason=f"{tree / name} was written by a newer HotSync",
                hint="Install the same HotSync version on both servers.",
            )
        return tuple(_rule(*line) for line in document["rules"][:_MOST])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReplicaError(reason=f"{tree / name} is malformed: {error}") from error


def _rule(pattern: object, action: object, origin: object, voice: object) -> Rule:
    if not (isinstance(pattern, str) and isinstance(origin, str) and pattern.startswith("/")):
        raise TypeError("a rule names no absolute path")
    return Rule(pattern, Action(str(action)), origin, Voice[str(voice).upper()])
