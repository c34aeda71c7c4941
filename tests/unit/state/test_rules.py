"""The rules of the MASTER as the SLAVE reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.errors import ReplicaError
from hotsync.model.selection import Action, Rule, Voice
from hotsync.state.rules import load_rules, render_rules

RULES = (
    Rule("/data/app", Action.INCLUDE, "/etc/backup-data.d/site.include:1"),
    Rule("/srv/not utf-8 \udcff\n", Action.EXCLUDE, "/etc/hotsync.d/plugin"),
    Rule("/data/mysql", Action.PROTECT, "files of mariadb/default", Voice.PROFILE),
)


def tell(tree: Path, data: bytes) -> None:
    folder = tree / "var/lib/hotsync/spool/rules"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.json").write_bytes(data)


def test_rules_arrive_as_they_were(tmp_path: Path) -> None:
    assert load_rules(tmp_path) == ()
    tell(tmp_path, render_rules(RULES))
    assert set(load_rules(tmp_path)) == set(RULES)
    tell(tmp_path, render_rules(()))
    assert load_rules(tmp_path) == ()


def test_the_same_rules_make_the_same_document() -> None:
    assert render_rules(RULES) == render_rules((*reversed(RULES), RULES[0]))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100_000, '{"schema": 1}', '{"schema": 2, "rules": []}', '{"schema": "1", "rules": []}',
     '{"schema": 1, "rules": 3}', '{"schema": 1, "rules": [["/a", "include", "x"]]}',
     '{"schema": 1, "rules": [["a", "include", "x", "site"]]}', '{"schema": 1, "rules": [[1, "include", "x", "site"]]}',
     '{"schema": 1, "rules": [["/a", "erase", "x", "site"]]}',
     '{"schema": 1, "rules": [["/a", "include", "x", "god"]]}'],
)  # fmt: skip
def test_a_malformed_document_is_an_error(tmp_path: Path, text: str) -> None:
    tell(tmp_path, text.encode())
    with pytest.raises(ReplicaError):
        load_rules(tmp_path)


def test_a_link_in_the_tree_leads_nowhere(tmp_path: Path) -> None:
    tell(tmp_path / "elsewhere", render_rules(RULES))
    (tmp_path / "var/lib/hotsync/spool").mkdir(parents=True)
    (tmp_path / "var/lib/hotsync/spool/rules").symlink_to(tmp_path / "elsewhere/var/lib/hotsync/spool/rules")
    with pytest.raises(ReplicaError):
        load_rules(tmp_path)
