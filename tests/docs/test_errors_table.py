"""The tree of errors keeps its promises, and every place that raises one gives the facts that its sentence needs."""

from __future__ import annotations

import ast
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generators.errors import MEANINGS, tree
from hotsync import errors
from hotsync.errors import ExitCode, HotSyncError

ROOT = Path(__file__).resolve().parents[2]
KINDS = list(tree())
BY_NAME = {kind.__name__: kind for kind in KINDS}


def facts_of(kind: type[HotSyncError]) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(kind.__doc__ or "") if name}


def raised() -> Iterator[tuple[str, type[HotSyncError], set[str]]]:
    """Return each call that makes an error: where, which, and the facts given (calls with **facts aside)."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = {keyword.arg for keyword in node.keywords}
            if name in BY_NAME and None not in given:
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield where, BY_NAME[name], {word for word in given if word is not None}


def test_all_errors_live_in_one_file() -> None:
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
        and path.name != "errors.py"
        and any(isinstance(base, ast.Name) and base.id in BY_NAME for base in node.bases)
    ]
    assert elsewhere == []


def test_every_error_has_a_code_of_its_own() -> None:
    assert [kind for kind in KINDS if "code" not in vars(kind)] == []
    assert [code for code, times in Counter(kind.code for kind in KINDS).items() if times > 1] == []


def test_every_exit_status_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_has_one_sentence_and_a_hint(kind: type[HotSyncError]) -> None:
    assert kind.__doc__
    assert "\n" not in kind.__doc__.strip()
    assert kind.hint.endswith((".", "?", "}"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_sentence_can_be_said(kind: type[HotSyncError]) -> None:
    error = kind(**dict.fromkeys(facts_of(kind), "X"), **({"line": "X"} if kind is errors.CommandFailed else {}))
    assert "{" not in error.sentence
    assert "<" not in error.sentence
    assert error.to_json()["code"] == kind.code


def test_a_forgotten_fact_shows_and_does_not_hide_the_error() -> None:
    assert errors.Busy(what="run").sentence == "Another run is running (process <pid>, for <age>)."


def test_every_error_is_raised_with_the_facts_of_its_sentence() -> None:
    lacking = [
        f"{where}: {kind.__name__} lacks {facts_of(kind) - given}"
        for where, kind, given in raised()
        if facts_of(kind) - given
    ]
    assert lacking == []
