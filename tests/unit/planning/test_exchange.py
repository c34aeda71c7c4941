"""What moves into production whole, and what stays in place: by tables, and as properties over random trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.changeset import folders_of
from hotsync.model.entry import Kind
from hotsync.model.promotion import How
from hotsync.model.selection import Action, Rule, Selection
from hotsync.model.tree import Node
from hotsync.planning.exchange import Layout, Surroundings, exchange_layout
from tests.support.sizes import examples

REPLICA = 1
"""The device of the replica; everything lies on it unless a test says otherwise."""


class Tree:
    """A tree of files in memory: paths of files; folders above them are implied."""

    def __init__(self, files: Sequence[str], folders: Sequence[str] = (), devices: Mapping[str, int] | None = None):
        self._kinds = dict.fromkeys(files, Kind.FILE)
        for path in (*files, *folders):
            for folder in (*folders_of(path), ""):
                self._kinds[folder] = Kind.DIRECTORY
        self._kinds.update(dict.fromkeys(folders, Kind.DIRECTORY))
        self._devices = devices or {}

    def node(self, path: str) -> Node | None:
        if path not in self._kinds:
            return None
        device = REPLICA
        for top, number in self._devices.items():
            if path == top or path.startswith(top + "/"):
                device = number
        return Node(self._kinds[path], abs(hash(path)) + 1, device)

    def names(self, path: str) -> Sequence[str]:
        return sorted({other.rpartition("/")[2] for other in self._kinds if other and other.rpartition("/")[0] == path})


def selection(include: Sequence[str], protect: Sequence[str] = (), exclude: Sequence[str] = ()) -> Selection:
    return Selection(
        [
            *(Rule(f"/{path}", Action.INCLUDE, "test") for path in include),
            *(Rule(f"/{path}", Action.PROTECT, "test") for path in protect),
            *(Rule(f"/{path}", Action.EXCLUDE, "test") for path in exclude),
        ]
    )


def layout(
    tree: Tree,
    live: Tree,
    include: Sequence[str],
    kept: Sequence[str] = (),
    mounts: Sequence[str] = (),
) -> Layout:
    around = Surroundings(selection(include, kept), frozenset(kept), frozenset(mounts), REPLICA)
    return exchange_layout(tree, live, around)


def paths(found: Layout) -> list[str]:
    return [f"{unit.how.value} {unit.path}" for unit in found.units]


def test_a_selected_folder_moves_whole() -> None:
    found = layout(Tree(["home/a/x", "home/b"]), Tree(["home/own"]), ["home"])
    assert paths(found) == ["exchange home"]
    assert found.folders == ()


def test_var_lib_is_split_by_child_and_what_only_the_slave_has_there_stays() -> None:
    found = layout(Tree(["var/lib/samba/x", "var/lib/foo"]), Tree(["var/lib/own/state"]), ["var/lib"])
    assert paths(found) == ["exchange var/lib/foo", "exchange var/lib/samba"]
    assert found.folders == ("var/lib",)


def test_etc_and_hotsyncs_own_state_are_never_units_even_when_selected() -> None:
    tree = Tree(["etc/passwd", "var/lib/hotsync/spool/x", "var/lib/y"])
    assert paths(layout(tree, Tree([]), ["etc", "var/lib", "var/lib/hotsync/spool"])) == ["exchange var/lib/y"]


def test_a_folder_that_holds_a_mount_point_stays_and_its_children_move_the_mounted_ones_by_copy() -> None:
    tree = Tree(["srv/big/x", "srv/small/y", "srv/z"])
    live = Tree(
        ["srv/big/old", "srv/big/lost+found/x", "srv/big/.hotsync-promotion.1/aside/y", "srv/own"],
        devices={"srv/big": 7},
    )
    found = layout(tree, live, ["srv"], mounts=["srv/big"])
    assert paths(found) == [
        "aside srv/big/old",
        "copy srv/big/x",
        "aside srv/own",
        "exchange srv/small",
        "exchange srv/z",
    ]
    assert found.folders == ("srv", "srv/big")


def test_a_protected_path_stays_and_its_neighbours_move() -> None:
    tree = Tree(["var/lib/app/data", "var/lib/app/conf/site"])
    live = Tree(["var/lib/app/conf/machine-key", "var/lib/app/old"])
    found = layout(tree, live, ["var/lib"], kept=["var/lib/app/conf/machine-key"])
    assert paths(found) == ["exchange var/lib/app/conf/site", "exchange var/lib/app/data", "aside var/lib/app/old"]


def test_what_is_carried_inside_a_protected_folder_moves_alone() -> None:
    tree = Tree(["var/lib/docker/volumes/v/x"])
    live = Tree(["var/lib/docker/overlay2/y", "var/lib/docker/volumes/w"])
    found = layout(tree, live, ["var/lib", "var/lib/docker/volumes"], kept=["var/lib/docker"])
    assert paths(found) == ["exchange var/lib/docker/volumes"]


def test_what_an_older_generation_carried_of_a_path_that_is_protected_now_stays_in_the_tree() -> None:
    tree = Tree(["var/lib/mysql/ibdata1", "var/lib/mysql/shop/t.ibd", "var/lib/x"])
    found = layout(tree, Tree(["var/lib/mysql/ibdata1"]), ["var/lib"], kept=["var/lib/mysql"])
    assert paths(found) == ["exchange var/lib/x"]


def test_a_folder_that_is_only_above_a_carried_one_stays_when_the_slave_has_more_in_it() -> None:
    found = layout(Tree(["data/app/x"]), Tree(["data/other/y"]), ["data/app"])
    assert paths(found) == ["exchange data/app"]
    assert found.folders == ()


def test_what_a_plugin_carried_moves_although_no_rule_here_names_it() -> None:
    assert paths(layout(Tree(["plugin/a", "plugin/b"]), Tree([]), [])) == ["exchange plugin"]
    assert paths(layout(Tree(["plugin/a"]), Tree(["plugin/mine"]), [])) == ["exchange plugin/a"]


def test_a_link_of_the_master_where_the_slave_has_a_mount_point_is_named_as_blocked() -> None:
    found = layout(Tree(["srv", "home/x"]), Tree(["srv/big/x"]), ["srv", "home"], mounts=["srv/big"])
    assert found.blocked == ("srv",)
    assert paths(found) == ["exchange home"]


def test_what_sqlite_left_here_beside_a_file_that_moves_by_itself_goes_aside() -> None:
    """The log of another file of that name is read as if it belonged to the one that came, and damages it."""
    tree = Tree(["opt/app/app.db", "opt/app/notes", "var/lib/one.db", "var/lib/one.db-wal"])
    live = Tree([
        "opt/app/app.db", "opt/app/app.db-shm", "opt/app/app.db-wal", "opt/app/notes-wal", "opt/app/other.db-wal",
        "var/lib/one.db-journal", "var/lib/one.db-wal",
    ])  # fmt: skip
    include = ["opt/app/app.db", "opt/app/notes", "var/lib"]
    around = Surroundings(selection(include), frozenset(), frozenset(), REPLICA, lambda path: path.endswith(".db"))
    assert paths(exchange_layout(tree, live, around)) == [
        "exchange opt/app/app.db", "aside opt/app/app.db-shm", "aside opt/app/app.db-wal", "exchange opt/app/notes",
        "exchange var/lib/one.db", "aside var/lib/one.db-journal", "exchange var/lib/one.db-wal",
    ]  # fmt: skip


def test_what_sqlite_left_in_a_carried_folder_that_stays_goes_aside_once_and_a_kept_one_stays() -> None:
    tree, live = Tree(["srv/app.db", "srv/b.db"]), Tree(["srv/app.db-wal", "srv/b.db-wal", "srv/big/x"])
    around = Surroundings(
        selection(["srv"], ["srv/b.db-wal"]), frozenset(["srv/b.db-wal"]), frozenset(["srv/big"]), REPLICA,
        lambda path: path.endswith(".db"),
    )  # fmt: skip
    assert paths(exchange_layout(tree, live, around)) == [
        "exchange srv/app.db", "aside srv/app.db-wal", "exchange srv/b.db",
    ]  # fmt: skip


names = st.sampled_from(["srv", "home", "var", "lib", "a", "b"])
files = st.lists(st.lists(names, min_size=1, max_size=4).map("/".join), max_size=8, unique=True)


def proper(listed: list[str]) -> list[str]:
    """Drop files that lie inside a file."""
    return [path for path in listed if not any(other.startswith(path + "/") for other in listed)]


@given(files, files, files, files, files)
@settings(max_examples=examples(120), deadline=None)
def test_every_file_of_the_tree_moves_exactly_once_and_nothing_kept_or_mounted_ever_moves(
    carried: list[str], here: list[str], include: list[str], kept: list[str], mounts: list[str]
) -> None:
    tree = Tree(proper(carried))
    own = proper(here)
    live = Tree(own)
    kept = [path for path in kept if live.node(path) is not None]
    mounted = [path for path in mounts if (node := live.node(path)) and node.kind is Kind.DIRECTORY]
    found = layout(tree, live, include, kept, mounted)
    moving = [unit.path for unit in found.units]
    assert len(set(moving)) == len(moving)
    for unit in found.units:
        inside = [other for other in (*moving, *kept, *mounted) if other.startswith(unit.path + "/")]
        assert inside == []
        assert unit.path not in mounted
        assert unit.path not in kept
    chosen = selection(include, kept)
    for path in proper(carried):
        mine = chosen.decide(path).action is Action.PROTECT
        covered = [u for u in found.units if u.how is not How.ASIDE and (path + "/").startswith(u.path + "/")]
        stuck = any((path + "/").startswith(other + "/") for other in found.blocked)
        if not mine and not stuck:
            assert len(covered) == 1, path
        if mine and any((path + "/").startswith(own + "/") for own in kept):
            assert covered == [], path
