"""What a promotion moves follows the rules by which the MASTER selected, its site's and its databases' too."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hotsync.engine.promotion.ground import Ground
from hotsync.model.selection import Action, Rule, Voice
from hotsync.planning.exchange import Surroundings, exchange_layout
from hotsync.state.rules import render_rules
from hotsync.system.paths import Paths

APP = Rule("/data/app", Action.INCLUDE, "/etc/backup-data.d/site.include:1")
FILES = Rule("/data/app/mysql", Action.PROTECT, "files of mariadb/default", Voice.PROFILE)


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def moved(root: Path, *rules: Rule) -> set[str]:
    paths = Paths(root)
    write(root, "data/other", "data/app/stale", "data/app/file")
    write(paths.replica / "tree", "data/app/file", "data/app/new")
    write(paths.replica / "tree/var/lib/hotsync/spool/rules", "rules.json")
    (paths.replica / "tree/var/lib/hotsync/spool/rules/rules.json").write_bytes(render_rules(rules))
    ground = Ground(paths)
    around = Surroundings(ground.selection, ground.kept, frozenset(), ground.device)
    return {f"{unit.path} {unit.how.value}" for unit in exchange_layout(*ground.listings, around).units}


def test_a_folder_that_a_list_of_the_master_carries_moves_whole(tmp_path: Path) -> None:
    assert moved(tmp_path, APP) == {"data/app exchange"}


def test_the_files_of_the_masters_database_server_stay_the_slaves_own(tmp_path: Path) -> None:
    write(tmp_path, "data/app/mysql/ibdata1")
    assert moved(tmp_path, APP, FILES) == {
        "data/app/file exchange", "data/app/new exchange", "data/app/stale aside",
    }  # fmt: skip


def test_what_profiles_leave_out_of_applications_that_the_master_has_not_leaves_out_nothing_of_the_master(
    tmp_path: Path,
) -> None:
    write(Paths(tmp_path).replica / "tree", "var/lib/dovecot/instances", "var/lib/mysql/ibdata1")
    rules = Ground(Paths(tmp_path)).selection
    assert rules.decide("var/lib/dovecot/instances").action is Action.INCLUDE
    assert rules.decide("var/lib/mysql/ibdata1").action is Action.PROTECT


def test_a_sqlite_file_of_the_tree_is_told_by_what_it_begins_with(tmp_path: Path) -> None:
    tree = Paths(tmp_path).replica / "tree"
    write(tree, "opt/app/notes")
    sqlite3.connect(tree / "opt/app/app.db", isolation_level=None).execute("CREATE TABLE t (x)").connection.close()
    (tree / "opt/app/link").symlink_to("app.db")
    told = [Ground(Paths(tmp_path)).is_sqlite(f"opt/app/{name}") for name in ("app.db", "notes", "link", "gone")]
    assert told == [True, False, False, False]
