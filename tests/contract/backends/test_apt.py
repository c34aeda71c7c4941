"""The MASTER's packages on a SLAVE, with the real apt and dpkg: nothing is removed, nothing starts, nothing blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages import apt as room
from hotsync.backends.packages.apt import Apt
from hotsync.engine.slave import packages as packages_room
from hotsync.engine.slave.package_facts import Standing
from hotsync.engine.slave.packages import SlavePackages
from hotsync.model.facts import PackageFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.checks import check_packages
from hotsync.model.packages.family import ALSO_RUNS
from hotsync.model.packages.values import Request, Space, Transaction, Wanted
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.state.slave_packages import load_brought, load_held
from hotsync.state.slave_run import MissingPackage, SlaveRun
from hotsync.system import command
from tests.contract.backends.apt_root import AptRoot

pytestmark = pytest.mark.contract
NEVER = SlaveRun(0.0, 0)


@pytest.fixture
def world(tmp_path: Path) -> AptRoot:
    return AptRoot(tmp_path)


class Slave:
    """The room under test over a throw-away root, with a systemctl that only remembers."""

    def __init__(self, world: AptRoot) -> None:
        self.world = world
        self.asked: list[Sequence[str]] = []
        self.apt = Apt(world.paths)
        self.mute = Mute(world.paths, self._systemctl)
        self.outcome = SlaveOutcome()

    def _systemctl(self, words: Sequence[str]) -> str:
        self.asked.append(words)
        return ""

    def packages(self, *wanted: Wanted, master: tuple[PackageFact, ...] = (), last: SlaveRun = NEVER) -> SlavePackages:
        self.outcome = SlaveOutcome()
        self.standing = Standing(self.world.paths, self.apt, master, last)
        return SlavePackages(self.standing, self.mute, wanted, self.outcome)

    def install(self, *wanted: Wanted, last: SlaveRun = NEVER) -> Sequence[str]:
        return self.packages(*wanted, last=last).install([each.name for each in wanted])

    @property
    def versions(self) -> dict[str, str]:
        return {name: package.version for name, package in self.apt.installed().items()}


def want(name: str, version: str = "1.0", here: str = "") -> Wanted:
    return Wanted(name, version, True, here)


def test_a_package_comes_with_what_it_needs_and_its_units_are_muted_before_it_is_unpacked(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.offer("mail", units=("mail.service", "mail@.service", "mail.socket"), Depends="queue")
    world.offer("queue", units=("queue.timer", "dbus-queue.service"))
    slave = Slave(world)
    muted_at_install: list[frozenset[str]] = []
    real = command.run

    def run(argv: Sequence[str], **more: object) -> object:
        if "install" in argv and "-s" not in argv and not {"--download-only", "--print-uris"} & set(argv):
            muted_at_install.append(slave.mute.muted())
            assert (world.root / "usr/sbin/policy-rc.d").read_text().endswith("exit 101\n")
        return real(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", run)
    assert slave.install(want("mail"), want("queue")) == ()
    assert slave.versions == {"mail": "1.0", "queue": "1.0"}
    assert muted_at_install == [frozenset(("mail.service", "mail@.service", "mail.socket", "queue.timer"))]
    assert ["daemon-reload"] in slave.asked
    assert not (world.root / "usr/sbin/policy-rc.d").exists()
    assert load_brought(world.paths) == {"mail", "queue"}


def test_one_package_that_cannot_be_had_and_one_with_a_broken_need_do_not_block_the_others(world: AptRoot) -> None:
    for name in ("good", "fine", "well"):
        world.offer(name)
    world.offer("needy", Depends="nowhere (>= 3)")
    slave = Slave(world)
    left = slave.install(want("good"), want("gone"), want("needy"), want("fine"), want("well"))
    assert set(left) == {"gone", "needy"}
    assert slave.versions.keys() == {"good", "fine", "well"}
    assert slave.outcome.missing["gone"] == "no repository of this server has it"
    assert "nowhere" in slave.outcome.missing["needy"]


def test_a_transaction_that_would_remove_something_is_refused_and_names_it(world: AptRoot) -> None:
    world.install("grub-pc", "2.06")
    world.offer("loader", Conflicts="grub-pc")
    world.offer("other")
    slave = Slave(world)
    assert slave.install(want("loader"), want("other")) == ("loader",)
    assert slave.versions == {"grub-pc": "2.06", "other": "1.0"}
    assert "it would remove grub-pc" in slave.outcome.missing["loader"]


def test_what_is_held_here_and_what_is_newer_here_stays(world: AptRoot) -> None:
    world.install("lib", "2.0")
    world.install("base", "1.0")
    world.hold("base")
    world.offer("lib", "1.5")
    world.offer("base", "3.0")
    world.offer("old-app", Depends="lib (= 1.5)")
    world.offer("new-app", Depends="base (>= 3.0)")
    slave = Slave(world)
    assert set(slave.install(want("old-app"), want("new-app"))) == {"old-app", "new-app"}
    assert slave.versions == {"lib": "2.0", "base": "1.0"}


def test_the_masters_version_is_preferred_to_the_newest(world: AptRoot) -> None:
    for version in ("1.0", "1.1", "2.0"):
        world.offer("app", version)
    world.offer("tool", "5.0")
    slave = Slave(world)
    assert slave.install(want("app", "1.1"), want("tool", "4.0")) == ()
    assert slave.versions == {"app": "1.1", "tool": "5.0"}


def test_repositories_that_do_not_answer_are_told_and_nothing_is_lost(world: AptRoot) -> None:
    world.install("mine")
    (world.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/nowhere/at/all ./\n")
    slave = Slave(world)
    assert slave.install(want("app")) == ("app",)
    assert slave.outcome.lists_fault
    assert slave.versions == {"mine": "1.0"}


def _asked_again(requests: Sequence[Request]) -> Transaction:
    raise AssertionError(f"asked again for {requests}")


def test_a_missing_package_is_not_looked_for_again_until_lists_or_packages_change(world: AptRoot) -> None:
    world.offer("needy", Depends="nowhere")
    slave = Slave(world)
    slave.install(want("needy"))
    missing = (MissingPackage("needy", slave.outcome.missing["needy"]),)
    last = SlaveRun(1.0, 1, missing, digest=slave.standing.digest())
    slave.apt.simulate = _asked_again  # type: ignore[method-assign]
    assert slave.install(want("needy"), last=last) == ("needy",)
    assert "nowhere" in slave.outcome.missing["needy"]
    slave = Slave(world)
    world.offer("nowhere")
    assert slave.install(want("needy"), last=last) == ()


def test_an_install_that_fails_half_way_is_told_and_leaves_nothing_behind(world: AptRoot) -> None:
    world.offer("bad", units=("bad.service",), failing="preinst")
    slave = Slave(world)
    assert slave.install(want("bad")) == ("bad",)
    assert "pre-installation script" in slave.outcome.missing["bad"]
    assert not slave.apt.was_cut, "dpkg took it back itself"
    assert slave.outcome.broken == slave.apt.broken() == ""
    assert slave.outcome.retry
    assert "bad.service" in slave.mute.muted()
    assert not (world.root / "usr/sbin/policy-rc.d").exists()


@pytest.mark.parametrize(("script", "word"), [("preinst", "pre-installation"), ("postinst", "post-installation")])
def test_a_script_that_fails_stops_its_own_package_and_what_needs_it_and_no_other_one(
    world: AptRoot, script: str, word: str
) -> None:
    for name in ("aaa", "good", "postfix"):
        world.offer(name)
    world.offer("bad", failing=script)
    world.offer("needy", Depends="bad")
    slave = Slave(world)
    names = ("aaa", "bad", "good", "needy", "postfix")
    assert slave.install(*map(want, names)) == ("bad", "needy")
    assert slave.versions.keys() == {"aaa", "good", "postfix"}
    assert word in slave.outcome.missing["bad"]
    assert "needy depends on bad" in slave.outcome.missing["needy"]
    assert slave.outcome.retry
    assert not (world.root / "usr/sbin/policy-rc.d").exists()
    assert ("bad" in slave.apt.broken()) is (script == "postinst"), "the one that fails, and no innocent one"
    world.offer("later")
    slave.apt.tidy()
    assert slave.apt.was_cut is (script == "postinst"), "what we left half done is ours to try again"
    room = slave.packages(want("bad"), want("later"))
    room.finish_install()
    assert room.install(["bad", "later"]) == ("bad",), "what comes later comes nevertheless"
    assert "later" in slave.versions


def test_an_update_whose_script_fails_stops_no_other_one(world: AptRoot) -> None:
    for name in ("app", "lib"):
        world.install(name)
    world.offer("app", "1.1", failing="postinst")
    world.offer("lib", "1.1")
    slave = Slave(world)
    assert slave.install(want("app", "1.1", "1.0"), want("lib", "1.1", "1.0")) == ("app",)
    assert slave.versions == {"lib": "1.1"}
    assert "app" in slave.apt.broken()


def test_a_file_that_another_package_has_stops_the_one_that_brings_it(world: AptRoot) -> None:
    world.install("mine")
    file = world.offer("thief")
    build = world.root.parent / "builds/thief_1.0"
    (build / "usr/share/mine").mkdir()
    (build / "usr/share/mine/version").write_text("stolen")
    command.run(["dpkg-deb", "--build", str(build), str(file)])
    world.publish()
    world.offer("good")
    slave = Slave(world)
    assert slave.install(want("good"), want("thief")) == ("thief",)
    assert "trying to overwrite" in slave.outcome.missing["thief"]
    assert slave.versions == {"good": "1.0", "mine": "1.0"}


def test_what_was_broken_before_us_is_not_ours_although_an_install_of_ours_is_half_done(world: AptRoot) -> None:
    world.install("half")
    world.offer("bad", failing="postinst")
    slave = Slave(world)
    slave.install(want("bad"))
    assert slave.apt.was_cut
    status = world.root / "var/lib/dpkg/status"
    status.write_text(
        status.read_text().replace(
            "Package: half\nStatus: install ok installed", "Package: half\nStatus: install ok unpacked"
        )
    )
    before = status.read_bytes()
    assert not slave.apt.was_cut
    slave.packages().finish_install()
    assert status.read_bytes() == before
    assert "half" in str(slave.outcome.broken)


def test_an_install_that_is_cut_is_finished_by_the_next_run(world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine dies when all is unpacked and nothing configured."""
    files = [str(world.offer(name)) for name in ("first", "second")]
    slave = Slave(world)
    real = command.run

    def run(argv: Sequence[str], **more: object) -> object:
        if "install" in argv and "-s" not in argv and not {"--download-only", "--print-uris"} & set(argv):
            real(["dpkg", f"--root={world.root}", "--unpack", *files])
            os._exit(77)
        return real(argv, **more)  # type: ignore[arg-type]

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(command, "run", run)
        slave.install(want("first"), want("second"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77
    assert "first" in slave.apt.broken()
    assert slave.apt.was_cut
    slave.packages().finish_install()
    assert slave.outcome.broken == ""
    assert not slave.apt.was_cut
    assert slave.versions == {"first": "1.0", "second": "1.0"}
    assert not (world.root / "usr/sbin/policy-rc.d").exists()


def test_an_install_that_came_to_its_end_leaves_no_word_of_a_cut_one(world: AptRoot) -> None:
    world.offer("app")
    slave = Slave(world)
    assert slave.install(want("app")) == ()
    assert not slave.apt.was_cut


def test_a_half_configured_package_is_seen(world: AptRoot) -> None:
    world.install("half")
    status = world.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("install ok installed", "install ok half-configured"))
    assert "half" in Apt(world.paths).broken()


def test_a_package_without_what_it_needs_is_seen_and_so_is_a_database_that_cannot_be_read(world: AptRoot) -> None:
    world.offer("lib")
    world.offer("app", Depends="lib")
    slave = Slave(world)
    assert slave.install(want("app")) == ()
    assert slave.apt.broken() == ""
    command.run(["dpkg", f"--root={world.root}", "--force-depends", "--remove", "lib"])
    assert slave.apt.broken() == "app : Depends: lib but it is not installed"
    status = world.root / "var/lib/dpkg/status"
    status.write_text(f"garbage\n{status.read_text()}")
    assert "parsing file" in slave.apt.broken()


def test_an_administrators_own_policy_stays_and_one_that_a_cut_run_left_goes(world: AptRoot) -> None:
    policy = world.root / "usr/sbin/policy-rc.d"
    apt = Apt(world.paths)
    policy.write_text("#!/bin/sh\nexit 0\n")
    world.offer("app")
    Slave(world).install(want("app"))
    apt.tidy()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    policy.write_bytes(room.POLICY_TEXT)
    apt.tidy()
    assert not policy.exists()


def test_a_simulation_changes_nothing_and_says_everything(world: AptRoot) -> None:
    world.install("lib", "1.0")
    world.offer("lib", "2.0")
    world.offer("app", Depends="lib (>= 2.0)", Conflicts="foe")
    world.install("foe")
    apt = Apt(world.paths)
    assert apt.refresh() == ""
    found = apt.simulate([Request("app", "1.0")])
    assert found == Transaction((("app", "1.0"),), (("lib", "1.0", "2.0"),), ("foe",))
    assert apt.updates() == ("lib",)
    assert {name: each.version for name, each in apt.installed().items()} == {"foe": "1.0", "lib": "1.0"}


def test_what_is_older_here_goes_to_the_masters_version_and_not_beyond_it(world: AptRoot) -> None:
    world.install("app", "1.0")
    world.install("lib", "1.0")
    for version in ("1.1", "2.0"):
        world.offer("app", version, Depends=f"lib (>= {version})")
        world.offer("lib", version)
    slave = Slave(world)
    assert slave.install(want("app", "1.1", "1.0"), want("lib", "1.1", "1.0")) == ()
    assert slave.versions == {"app": "1.1", "lib": "1.1"}
    assert slave.outcome.behind == {}


def test_what_is_older_here_and_cannot_be_had_is_told_as_older_not_as_missing(world: AptRoot) -> None:
    world.install("app", "1.0")
    slave = Slave(world)
    assert slave.install(want("app", "1.1", "1.0")) == ("app",)
    assert slave.outcome.missing == {}
    assert slave.outcome.behind == {"app": "1.0 is here, and 1.1 can be had nowhere"}


def test_a_package_that_would_take_the_place_of_this_servers_own_comes_when_a_person_types_what_the_hint_says(
    world: AptRoot,
) -> None:
    world.install("exim", "1.0")
    world.offer("postfix", Conflicts="exim")
    world.offer("postfix-maps", Depends="postfix")
    slave = Slave(world)
    assert slave.install(want("postfix"), want("postfix-maps")) == ("postfix", "postfix-maps")
    missing, *_ = check_packages(SlaveFacts(RoleRecord(Role.SLAVE), 1), slave.outcome, slave.apt.hints, False)
    assert "If nobody needs exim here: `apt-get install postfix postfix-maps` removes that" in missing.hint
    command.run(slave.apt._apt("apt-get", "-q", "-y", "install", "postfix", "postfix-maps"))
    assert slave.versions == {"postfix": "1.0", "postfix-maps": "1.0"}


def test_a_firewall_is_muted_as_it_comes_and_not_with_an_update_of_this_servers_own(world: AptRoot) -> None:
    world.install("own", "1.0")
    world.offer("own", "1.1", units=("nftables.service",))
    world.offer("firewall", units=("firewalld.service",))
    slave = Slave(world)
    assert slave.install(want("own", "1.1", "1.0"), want("firewall")) == ()
    assert slave.mute.muted() == {"firewalld.service"}


def test_an_update_of_what_this_server_brought_itself_mutes_none_of_its_units(world: AptRoot) -> None:
    world.install("mine", "1.0")
    world.offer("mine", "1.1", units=("mine.service",))
    slave = Slave(world)
    assert slave.install(want("mine", "1.1", "1.0")) == ()
    assert slave.versions == {"mine": "1.1"}
    assert slave.mute.muted() == frozenset()


def test_marks_and_holds_are_the_masters_and_a_hold_for_the_master_lets_its_versions_in(world: AptRoot) -> None:
    for name in ("app", "lib"):
        world.offer(name)
    world.install("mine")
    world.hold("mine")
    slave = Slave(world)
    master = (
        PackageFact("app", "1.0", "all", True, True), PackageFact("lib", "1.0", "all"),
        PackageFact("mine", "1.0", "all", True),
    )  # fmt: skip
    slave.packages(want("app"), want("lib"), master=master).install(["app", "lib"])
    slave.packages(master=master).take_marks()
    found = {name: (each.manual, each.held) for name, each in slave.apt.installed().items()}
    assert found == {"app": (True, True), "lib": (False, False), "mine": (True, True)}
    assert load_held(world.paths) == {"app"}
    world.offer("app", "1.1")
    newer = (replace(master[0], version="1.1"), *master[1:])
    slave.packages(want("app", "1.1", "1.0"), master=newer).install(["app"])
    slave.packages(master=newer).take_marks()
    assert slave.versions["app"] == "1.1"
    assert slave.apt.installed()["app"].held
    released = (replace(newer[0], held=False), *master[1:])
    slave.packages(master=released).take_marks()
    assert {name for name, each in slave.apt.installed().items() if each.held} == {"mine"}
    assert load_held(world.paths) == frozenset()


def test_packages_of_another_architecture_come_once_it_is_taken(world: AptRoot) -> None:
    slave = Slave(world)
    foreign = ALSO_RUNS[slave.apt.machine().native][0]
    world.offer("wine", Architecture=foreign)
    assert slave.install(want(f"wine:{foreign}")) == (f"wine:{foreign}",)
    slave.packages().take_architectures([foreign])
    assert slave.apt.machine().foreign == (foreign,)
    assert slave.install(want(f"wine:{foreign}")) == ()
    assert slave.versions == {f"wine:{foreign}": "1.0"}
    assert f"wine:{foreign}" in load_brought(world.paths)


def test_a_disk_that_is_nearly_full_is_told_and_nothing_is_unpacked(world: AptRoot) -> None:
    world.install("mine")
    world.offer("huge", Installed_Size=str(2**40))
    slave = Slave(world)
    assert slave.install(want("huge")) == ("huge",)
    assert "there is no room: " in slave.outcome.missing["huge"]
    assert slave.outcome.retry, "there may be room the next time"
    assert slave.versions == {"mine": "1.0"}
    assert slave.apt.broken() == ""
    assert not list(world.paths.package_files.glob("*"))


def test_package_files_are_kept_so_that_nothing_needs_a_repository_later(world: AptRoot) -> None:
    source = f"deb [trusted=yes] copy:{world.repository} ./\n"  # fetched, as from another server
    (world.root / "etc/apt/sources.list").write_text(source)
    world.offer("app", "1:1.0", units=("app.service",), Depends="lib")
    world.offer("lib")
    slave = Slave(world)
    assert slave.install(want("app", "1:1.0")) == ()
    kept = {file.name for file in world.paths.package_files.iterdir()}
    assert kept == {"app_1%3a1.0_all.deb", "lib_1.0_all.deb"}
    for file in [*world.repository.glob("*.deb"), *(world.root / "var/cache/apt/archives").glob("*.deb")]:
        file.unlink()
    command.run(["dpkg", f"--root={world.root}", "--purge", "app", "lib"])
    assert slave.install(want("app", "1:1.0")) == ()
    assert slave.versions == {"app": "1:1.0", "lib": "1.0"}


def test_files_of_versions_that_are_gone_are_not_kept(world: AptRoot) -> None:
    world.offer("app")
    slave = Slave(world)
    slave.install(want("app"))
    world.offer("app", "1.1")
    slave.install(want("app", "1.1", "1.0"))
    assert [file.name for file in world.paths.package_files.iterdir()] == ["app_1.1_all.deb"]


def test_no_file_stays_in_apts_cache_and_what_an_install_that_was_cut_left_there_goes_with_its_version(
    world: AptRoot,
) -> None:
    archives = world.root / "var/cache/apt/archives"
    world.offer("app")
    slave = Slave(world)
    (archives / "other_1.0_all.deb").write_bytes(b"an administrator's")
    slave.install(want("app"))
    kept = world.paths.package_files / "app_1.0_all.deb"
    (archives / kept.name).hardlink_to(kept)
    world.offer("app", "1.1")
    slave.install(want("app", "1.1", "1.0"))
    assert [file.name for file in archives.glob("*.deb")] == ["other_1.0_all.deb"]


def test_the_disk_of_apts_cache_needs_room_too(world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """HotSync's folder is on a disk of its own: apt fetches to another one first."""
    world.offer("app")
    slave = Slave(world)
    asked: dict[str, int] = {}
    real = Path.stat
    mounts = (str(world.paths.state), str(world.root / "var/cache"), str(world.root / "usr"))

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        on = next((number for number, mount in enumerate(mounts, 1) if str(path).startswith(mount)), 0)
        return os.stat_result((*found[:2], 1000 + on, *found[3:10])) if on else found

    def lacks(needed: int, room: str) -> str:
        asked[room] = needed
        return "no room" if room.endswith("archives") else ""

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(packages_room, "_room", str)
    monkeypatch.setattr(packages_room, "lacks_room", lacks)
    slave.apt.space = lambda _: Space(700, 3000)  # type: ignore[method-assign, assignment]
    assert slave.install(want("app")) == ("app",)
    assert slave.outcome.missing["app"] == "no room"
    assert set(asked.values()) == {700}
