"""What of an old MASTER becomes its replica's tree, and how."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.changeset import folders_of
from hotsync.model.rejoin import Way
from hotsync.model.selection import Action
from hotsync.planning.rejoin_parts import Parts, rejoin_parts
from tests.support.sizes import examples
from tests.unit.planning.test_exchange import REPLICA, Tree, selection


def parts(
    live: Tree,
    include: Sequence[str],
    exclude: Sequence[str] = (),
    protect: Sequence[str] = (),
    mounts: Sequence[str] = (),
) -> Parts:
    rules = selection(include, protect, exclude)
    left = frozenset(path for path in (*exclude, *protect) if live.node(path))
    return rejoin_parts(live, rules, left, frozenset(mounts), REPLICA)


def shown(found: Parts) -> list[str]:
    return [f"{part.way.value} {part.path}" for part in found.parts]


def test_a_carried_folder_moves_whole_and_what_nobody_carries_stays() -> None:
    found = parts(Tree(["home/a/x", "home/b", "usr/bin/x"]), ["home"])
    assert shown(found) == ["move home"]
    assert found.folders == ()


def test_what_the_server_itself_needs_is_copied() -> None:
    assert shown(parts(Tree(["etc/passwd", "root/.ssh/key", "srv/x"]), ["etc", "root", "srv"])) == [
        "copy etc", "copy root", "move srv",
    ]  # fmt: skip


def test_a_nethserver_keeps_its_databases_as_it_has_its_settings_in_them() -> None:
    found = parts(Tree(["var/lib/nethserver/db/configuration", "var/lib/nethserver/ibay/x"]), ["var/lib"])
    assert shown(found) == ["copy var/lib/nethserver/db", "move var/lib/nethserver/ibay"]


def test_a_shared_folder_is_split() -> None:
    found = parts(Tree(["var/lib/a/x", "var/lib/b"]), ["var/lib"])
    assert shown(found) == ["move var/lib/a", "move var/lib/b"]
    assert found.folders == ("var/lib",)


def test_what_is_left_out_stays_in_place_and_so_does_its_folder() -> None:
    live = Tree(["srv/backup/huge", "srv/share/x", "home/a/.cache/y", "home/a/mail"])
    found = parts(live, ["srv", "home"], exclude=["srv/backup", "home/a/.cache"])
    assert shown(found) == ["move home/a/mail", "move srv/share"]
    assert found.folders == ("home", "home/a", "srv")


def test_what_is_carried_inside_of_what_is_not_moves() -> None:
    live = Tree(["var/lib/hotsync/spool/dump", "var/lib/hotsync/replica/x"])
    found = parts(live, ["var/lib", "var/lib/hotsync/spool"], protect=["var/lib/hotsync"])
    assert shown(found) == ["move var/lib/hotsync/spool"]


def test_what_lies_on_another_file_system_is_carried_there() -> None:
    live = Tree(["srv/disk/a/x", "srv/y"], devices={"srv/disk": 2})
    found = parts(live, ["srv"], mounts=["srv/disk"])
    assert shown(found) == ["carry srv/disk/a", "move srv/y"]
    assert found.folders == ("srv", "srv/disk")


PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map("/".join)


@given(st.lists(PATHS, max_size=12), st.sets(PATHS, max_size=3), st.sets(PATHS, max_size=3), st.sets(PATHS, max_size=2))
@settings(max_examples=examples(200))
def test_exactly_what_is_carried_goes_and_nothing_lies_in_two_parts(
    files: list[str], include: set[str], exclude: set[str], mounts: set[str]
) -> None:
    files = [path for path in files if not any(other.startswith(path + "/") for other in files)]
    live = Tree(files)
    rules = selection(sorted(include), (), sorted(exclude))
    left = frozenset(path for path in exclude if live.node(path) and rules.decide(path).action is not Action.INCLUDE)
    inside = frozenset(path for path in mounts if path not in files)
    found = rejoin_parts(live, rules, left, inside, REPLICA)
    covered = [part.path for part in found.parts]
    for path in covered:
        assert not set(folders_of(path)) & set(covered)
        assert all(not mount.startswith(path + "/") and mount != path for mount in inside if live.node(mount))
    for path in files:
        goes = path in covered or bool(set(folders_of(path)) & set(covered))
        assert goes == (rules.decide(path).action is Action.INCLUDE), path
    assert all(part.way is not Way.COPY for part in found.parts)
