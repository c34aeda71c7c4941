"""yum 3 in its own words: what its manuals, its source and screens of CentOS 7 show; no yum 3 takes part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.packages import rpm_text, yum_state, yum_text
from hotsync.backends.packages.detect import manager_of
from hotsync.backends.packages.dnf import Dnf
from hotsync.backends.packages.yum import Yum
from hotsync.errors import CommandFailed
from hotsync.model.packages.values import Package, Request, Space, Transaction
from hotsync.model.packages.wants import Marks
from hotsync.system import command
from hotsync.system.paths import Paths

INSTALLED = {"tree": Package("tree", "1.5.3-3.el7", "x86_64"), "old-one": Package("old-one", "1-1", "noarch")}
SCREEN = """\
Loaded plugins: fastestmirror, langpacks
Resolving Dependencies
--> Running transaction check
---> Package postgresql10-devel.x86_64 0:10.11-2PGDG.rhel7 will be installed
--> Finished Dependency Resolution

Dependencies Resolved

================================================================================
 Package                Arch       Version                 Repository      Size
================================================================================
Installing:
 postgresql10-devel     x86_64     10.11-2PGDG.rhel7       pgdg10         2.0 M
     replacing  old-one.noarch 1-1
Updating:
 tree                   x86_64     1.6.0-10.el7            base            46 k
Installing for dependencies:
 NetworkManager-libreswan-with-a-very-long-name
                        x86_64     1:1.4.0-12.el7          base           702 k

Transaction Summary
================================================================================
Install  1 Package (+1 Dependent package)
Upgrade  1 Package

Total download size: 2.7 M
Installed size: 13 M
Exiting on user command
Your transaction was saved, rerun it with:
 yum load-transaction /tmp/yum_save_tx.2019-12-28.11-00.54JiTC.yumtx
"""
REFUSED = """\
Resolving Dependencies
Error: Package: needy-1.0-1.noarch (app)
           Requires: nowhere >= 3
 You could try using --skip-broken to work around the problem
 You could try running: rpm -Va --nofiles --nodigest
"""
WANTED = [Request("postgresql10-devel", "10.11-2PGDG.rhel7"), Request("tree", "1.6.0-10.el7")]


class World:
    """A host with yum 3 of which every program is this table: what it is asked, and what it says."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.paths = root, Paths(root)
        self.asked: list[list[str]] = []
        self.environment: dict[str, str] = {}
        self.answers: dict[str, command.Completed] = {}
        for place in ("usr/bin/yum", "var/lib/rpm/Packages"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).touch()
        monkeypatch.setattr(command, "run", self._run)

    def _run(self, argv: Sequence[str], **more: object) -> command.Completed:
        self.asked.append(list(argv))
        environment = more.get("env")
        if isinstance(environment, dict):
            self.environment.update(environment)  # pyright: ignore[reportUnknownArgumentType]
        words = " ".join(argv)
        found = (answer for key, answer in self.answers.items() if key in words)
        return next(found, command.Completed(0, b"", b""))

    def says(self, key: str, text: str, status: int = 0, errors: str = "") -> None:
        self.answers[key] = command.Completed(status, text.encode(), errors.encode())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_it_is_yum_where_there_is_no_dnf(world: World) -> None:
    assert isinstance(manager_of(world.paths), Yum)
    (world.root / "usr/bin/dnf").touch()
    assert type(manager_of(world.paths)) is Dnf


def test_a_simulation_is_read_with_long_rows_and_what_is_replaced() -> None:
    assert yum_text.could_be_done(SCREEN)
    assert rpm_text.parse_simulation(SCREEN, INSTALLED, "x86_64") == Transaction(
        (("postgresql10-devel", "10.11-2PGDG.rhel7"),
         ("NetworkManager-libreswan-with-a-very-long-name", "1:1.4.0-12.el7")),
        (("tree", "1.5.3-3.el7", "1.6.0-10.el7"),),
        ("old-one",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("output", "errors", "reason"),
    [
        (REFUSED, "", "Package: needy-1.0-1.noarch (app), Requires: nowhere >= 3"),
        ("", REFUSED, "Package: needy-1.0-1.noarch (app), Requires: nowhere >= 3"),
        ("No package gone-1.0 available.\n" + SCREEN, "", "No package gone-1.0 available."),
        ("Error: Nothing to do\n", "", "Nothing to do"),
        ("", "Another app is currently holding the yum lock\n", "yum did not say why"),
    ],
)
def test_what_would_not_all_be_done_is_refused_with_its_reason(output: str, errors: str, reason: str) -> None:
    assert not yum_text.could_be_done(output + errors)
    assert yum_text.parse_refusal(output, errors) == (reason,)


def test_a_simulation_runs_nothing_and_leaves_no_saved_transaction(world: World) -> None:
    world.says("--assumeno", SCREEN, 1)
    world.says("rpm", "tree\t0:1.5.3-3.el7\tx86_64\n")
    found = Yum(world.paths).simulate([*WANTED, Request("mine", "1:1", "/private/mine.rpm")])
    assert isinstance(found, Transaction)
    assert found.upgrades == (("tree", "1.5.3-3.el7", "1.6.0-10.el7"),)
    asked = next(argv for argv in world.asked if "--assumeno" in argv)
    assert asked[-4:] == ["--", "postgresql10-devel-10.11-2PGDG.rhel7", "tree-1.6.0-10.el7", "/private/mine.rpm"]
    assert "-C" in asked
    assert not os.path.exists(world.environment["TMPDIR"])


def test_versions_and_sizes_are_asked_of_repoquery_and_an_epoch_is_named_only_with_an_architecture(
    world: World,
) -> None:
    line = "tree\t0:1.6.0-10.el7\tx86_64\t46000\t87000\n"
    world.says("repoquery", line + "tree\t0:1.7.0-1.el7\tx86_64\t47000\t88000\n")
    yum = Yum(world.paths)
    assert yum.available(["tree"]) == {"tree": ["1.7.0-1.el7", "1.6.0-10.el7"]}
    assert "--show-duplicates" in world.asked[-1]
    assert yum.space([("tree", "1.6.0-10.el7")]) == Space(46000, 87000)
    assert yum_text.spec("tree", "2:1.6-1") == "tree-1.6-1"
    assert yum_text.spec("tree:i686", "2:1.6-1") == "tree-2:1.6-1.i686"


def test_fetched_files_are_taken_out_of_yums_cache_and_one_that_is_lacking_is_told(world: World) -> None:
    cache = world.root / "var/cache/yum/x86_64/7/base/packages"
    cache.mkdir(parents=True)
    (cache / "tree-1.6.0-10.el7.x86_64.rpm").write_text("tree")
    (cache / "other-1-1.noarch.rpm").write_text("other")
    yum = Yum(world.paths)
    yum.download(WANTED[1:], [("tree", "1.6.0-10.el7")])
    assert [path.name for path in world.paths.package_files.iterdir()] == ["tree-1.6.0-10.el7.x86_64.rpm"]
    with pytest.raises(CommandFailed, match="postgresql10"):
        yum.download(WANTED, [("postgresql10-devel", "10.11-2PGDG.rhel7")])


def test_marks_and_locks_are_read_and_set_in_yums_own_places(world: World) -> None:
    folder = world.root / f"var/lib/yum/yumdb/l/{'0a' * 20}-lib-devel-1.0-1.el7-x86_64"
    folder.mkdir(parents=True)
    (folder / "reason").write_text("dep")
    locks = world.root / yum_state.LOCKS.lstrip("/")
    locks.parent.mkdir(parents=True)
    locks.write_text("\n# Added locks on Mon Jan  1\n1:app-2.0-1.el7.*\n")
    protected = world.root / "etc/yum/protected.d/systemd.conf"
    protected.parent.mkdir(parents=True)
    protected.write_text("systemd\n")
    world.says("rpm", "".join(f"{each}\n" for each in (
        "app\t1:2.0-1.el7\tx86_64", "lib-devel\t0:1.0-1.el7\tx86_64", "systemd\t0:219-1\tx86_64",
    )))  # fmt: skip
    yum = Yum(world.paths)
    found = {each.name: (each.manual, each.held, each.essential) for each in yum.installed().values()}
    assert found == {"app": (True, True, False), "lib-devel": (False, False, False), "systemd": (True, False, True)}
    before = yum.digest()
    yum.mark(Marks(("lib-devel",), ("systemd",), ("lib-devel",), ("app",)))
    assert ["yumdb", "set", "reason", "user", "--", "lib-devel"] in world.asked
    assert ["yumdb", "set", "reason", "dep", "--", "systemd"] in world.asked
    assert locks.read_text() == "\n# Added locks on Mon Jan  1\n0:lib-devel-1.0-1.el7.*\n"
    assert yum.digest() != before


def test_updates_that_wait_are_read_also_from_rows_of_two_lines(world: World) -> None:
    rows = "\ntree.x86_64           1.7.0-1.el7           updates\nNetworkManager-libreswan-gnome.x86_64\n"
    world.says("check-update", f"{rows}                      1.4.0-13.el7          updates\n", 100)
    assert Yum(world.paths).updates() == ("NetworkManager-libreswan-gnome", "tree")


def test_an_install_takes_what_was_fetched_and_leaves_a_word_only_while_it_runs(world: World) -> None:
    yum = Yum(world.paths)
    world.paths.state.mkdir(parents=True)
    assert yum.install(WANTED[1:], Transaction()) == {}
    assert world.asked[-1][-4:] == ["--setopt=keepcache=1", "install", "--", "tree-1.6.0-10.el7"]
    assert {"-y", "-C"} <= set(world.asked[-1])
    assert not yum.was_cut


def test_a_database_that_is_broken_is_told_in_yums_words(world: World) -> None:
    assert Yum(world.paths).broken() == ""
    world.says("check dependencies", "needy-1.0-1.noarch has missing requires of nowhere\nError: check all\n", 1)
    assert Yum(world.paths).broken().startswith("needy-1.0-1.noarch has missing requires of nowhere")
