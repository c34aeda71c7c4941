"""What nothing protects is told with its reason, in few lines; what something protects is not told."""

from __future__ import annotations

import pytest

from hotsync.model.coverage.findings import Coverage, Finding, Kind, OpenFile, data_findings, mount_findings, summary_of
from hotsync.model.coverage.groups import Folder, Group
from hotsync.model.coverage.judge import Cover, Judge
from hotsync.model.coverage.result import CoverageFacts, ProfileSeen, cover
from hotsync.model.coverage.runners import runner_of
from hotsync.model.explain import Mounted
from hotsync.model.selection import Action, Rule, Selection, Voice

RULES = Selection(
    [
        Rule("/srv", Action.INCLUDE, "profile base", Voice.PROFILE),
        Rule("/srv/cache", Action.EXCLUDE, "/etc/backup-data.d/site.exclude:1"),
        Rule("/var/lib/docker", Action.PROTECT, "profile base", Voice.PROFILE),
        Rule("/mnt/disk", Action.INCLUDE, "mounted ext4 file system", Voice.MOUNT),
    ]
)
MOUNTED = Mounted(
    {"": "ext4", "proc": "proc", "mnt/disk": "ext4", "mnt/pool": "fuse.mergerfs", "mnt/pool/a": "fuse.mergerfs",
     "mnt/share": "nfs4", "mnt/ram": "tmpfs", "var/lib/docker/overlay2/x/merged": "overlay", "srv/pool": "fuseblk"},
    {"mnt/disk"},
    {"proc"},
)  # fmt: skip
JUDGE = Judge(RULES, MOUNTED, {"/usr/bin/sort"})


@pytest.mark.parametrize(
    ("path", "is_"),
    [
        ("/srv/file", Cover.CARRIED),
        ("/srv/cache/file", Cover.DECIDED),
        ("/mnt/disk/file", Cover.CARRIED),
        ("/mnt/share/file", Cover.ELSEWHERE),
        ("/mnt/ram/file", Cover.NO_DATA),
        ("/mnt/pool/file", Cover.NOTHING),
        ("/srv/pool/file", Cover.NOTHING),  # what is said of the folder does not hold for what is mounted in it
        ("/var/lib/docker/overlay2/x/merged/data", Cover.DECIDED),
        ("/var/log/syslog", Cover.NO_DATA),
        ("/usr/share/fonts/X11/misc/fonts.dir", Cover.NO_DATA),
        ("/usr/share/fonts/own.ttf", Cover.NOTHING),
        ("/usr/bin/sort", Cover.PACKAGE),
        ("/usr/bin/planted", Cover.NOTHING),
        ("/data/file", Cover.NOTHING),
    ],
)
def test_each_path_is_judged_by_what_holds_there(path: str, is_: Cover) -> None:
    judged = JUDGE(path)
    assert judged.cover is is_
    assert judged.reason


def test_of_mounted_file_systems_those_that_hold_data_and_that_no_rule_names_are_told_the_topmost_once() -> None:
    assert [(found.kind, found.name) for found in mount_findings(MOUNTED, JUDGE)] == [
        (Kind.MOUNT, "/mnt/pool"),
        (Kind.MOUNT, "/srv/pool"),
    ]


def filled(path: str, files: int, *, lately: bool = True, other: bool = False) -> Folder:
    folder = Folder(path, other=other)
    for number in range(files):
        folder.file(f"{path}/{number}", 10, 5.0 + number, lately=lately)
    return folder


def test_the_highest_folder_that_holds_nothing_else_stands_for_all_in_it() -> None:
    top, data = Folder("", other=True), Folder("/data")
    data.take(filled("/data/a", 2))
    data.take(filled("/data/b", 3, lately=False))
    data.take(Folder("/data/empty"))
    top.take(data)
    assert top.groups() == [Group("/data", 2, 20, 6.0, 50)]


def test_a_folder_with_something_else_in_it_stands_for_nothing() -> None:
    share = filled("/usr/share", 1, other=True)
    share.take(filled("/usr/share/app", 2))
    share.take(filled("/usr/share/old", 2, lately=False))
    assert [(group.path, group.whole) for group in share.groups()] == [("/usr/share/app", True), ("/usr/share/0", True)]


def test_many_files_or_folders_in_a_folder_become_one_line_of_it() -> None:
    folder = filled("/usr/lib", 1000, other=True)
    for number in range(1000):
        folder.take(filled(f"/usr/lib/{number}", 1))
    (group,) = folder.groups()
    assert (group.path, group.files, group.whole) == ("/usr/lib", 2000, False)


def top_of(**children: int) -> list[Group]:
    """Return what is told of a root in whose folders something protected lies beside so many single finds."""
    top = Folder("", other=True)
    for name, count in children.items():
        child = Folder(f"/{name}", other=True)
        for number in range(count):
            child.take(filled(f"/{name}/{number}", 1))
        top.take(child)
    return top.groups()


def test_many_small_finds_in_a_few_folders_are_told_in_those_folders_never_at_the_root() -> None:
    told = top_of(usr=8, var=8, data=8)
    assert "/" not in {group.path for group in told}
    assert [(group.path, group.files) for group in told if not group.whole] == [("/usr", 8)]
    assert len(told) == 17
    assert sum(group.files for group in told) == 24


def test_the_fullest_folder_becomes_one_line_first_so_that_what_lies_alone_keeps_its_name() -> None:
    told = {group.path: group.files for group in top_of(usr=19, opt=1, var=15)}
    assert told == {"/usr": 19, "/opt/0": 1, **{f"/var/{number}": 1 for number in range(15)}}


def test_at_the_root_every_folder_has_a_line_of_its_own_however_many_they_are() -> None:
    assert len(top_of(**{f"d{number}": 1 for number in range(40)})) == 40


def test_files_beside_each_other_at_the_root_keep_their_names_too() -> None:
    told = filled("", 12, other=True).groups()
    assert {group.path for group in told} == {f"/{number}" for number in range(12)}


def test_what_did_not_change_lately_takes_nobodys_name() -> None:
    share = filled("/usr/share", 1, other=True)
    for number in range(100):
        share.take(filled(f"/usr/share/old{number}", 1, lately=False))
    share.take(filled("/usr/share/new", 1))
    assert {group.path for group in share.groups()} == {"/usr/share/0", "/usr/share/new"}


def test_of_what_nobody_protects_all_counts_however_it_was_added_up() -> None:
    data = filled("/data", 9)
    for number in range(50):
        data.take(filled(f"/data/{number}x", 1, lately=bool(number % 2)))
    (group,) = data.groups()
    assert (group.path, group.files, group.held, group.whole) == ("/data", 9 + 25, 10 * 59, True)


@pytest.mark.parametrize(
    ("findings", "faults", "said"),
    [
        (0, 0, "nothing is unprotected"),
        (0, 1, "1 thing could not be looked at, nothing else is unprotected: hotsync coverage"),
        (1, 0, "1 thing is not protected: hotsync coverage"),
        (2, 3, "2 things are not protected, 3 things could not be looked at: hotsync coverage"),
    ],
)
def test_what_could_not_be_looked_at_is_said_with_the_rest(findings: int, faults: int, said: str) -> None:
    found = Coverage(1.0, 7, (Finding(Kind.UNIT, "a", "b"),) * findings, (), ("c",) * faults)
    assert summary_of(found) == said


def test_who_has_a_file_open_is_said_with_the_folder_that_changed() -> None:
    groups = [Group("/data", 2, 20, 6.0, 50)]
    opened = [OpenFile("/data/a/0", "app of app.service"), OpenFile("/srv/x", "app of app.service")]
    assert data_findings(groups, opened, JUDGE) == [
        Finding(Kind.DATA, "/data", "no rule names it", ("app of app.service",), 2, 20, 50, 6.0)
    ]


def test_open_files_that_did_not_change_are_told_by_folder() -> None:
    opened = [OpenFile(f"/data/{name}", f"{name} of app.service", 4) for name in ("a", "b")]
    (finding,) = data_findings([], [*opened, OpenFile("/run/x", "x"), OpenFile("/var/log/x", "x")], JUDGE)
    assert (finding.kind, finding.name, finding.files, finding.size) == (Kind.OPEN, "/data", 2, 8)
    assert finding.by == ("a of app.service", "b of app.service")


def test_an_application_is_told_with_what_protects_it() -> None:
    profile = ProfileSeen("mariadb", "MariaDB", ("/etc/mysql",), ("mariadb",), ("mariadb.service",))
    found = cover(CoverageFacts(JUDGE, Mounted({}), (profile,), datasets=("mariadb/main", "facts")), 1.0, 7)
    assert found.findings == ()
    assert found.applications[0].protected_by == (
        "collected as mariadb/main",
        "carried: /etc/mysql",
        "held on the SLAVE, started in a promotion: mariadb.service",
    )


def test_databases_that_the_settings_leave_out_are_not_protected() -> None:
    profile = ProfileSeen("mariadb", "MariaDB", (), ("mariadb",))
    (finding,) = cover(CoverageFacts(JUDGE, Mounted({}), (profile,), databases=False), 1.0, 7).findings
    assert (finding.kind, finding.name) == (Kind.DATABASE, "MariaDB")


def test_a_server_that_no_run_ever_could_collect_is_not_protected() -> None:
    profile = ProfileSeen("postgresql", "PostgreSQL", (), ("postgresql",))
    missing = (("postgresql/pg-app", "the server in /srv/pg cannot be dumped"),)
    found = cover(CoverageFacts(JUDGE, Mounted({}), (profile,), uncollected=missing), 1.0, 7)
    (finding,) = found.findings
    assert (finding.kind, finding.name, finding.reason) == (Kind.DATABASE, *missing[0])
    assert found.applications[0].protected_by == ("nothing collected of it yet",)


@pytest.mark.parametrize(
    ("cgroup", "said"),
    [
        ("9:name=systemd:/\n8:pids:/\n0::/system.slice/ssh.service\n", "app of ssh.service"),
        ("0::/system.slice/app.service\n", "app of app.service"),
        ("12:pids:/x\n1:name=systemd:/system.slice/system-app.slice/app@1.service\n", "app of app@1.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "app, started by hand"),
        ("0::/user.slice/user-0.slice/user@0.service/init.scope\n", "app, started by hand"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/web.service\n", "app of web.service"),
        ("0::/init.scope\n", "app"),
    ],
)
def test_whose_a_process_is_is_said_by_its_cgroup(cgroup: str, said: str) -> None:
    assert str(runner_of(1, "app", "/opt/app", cgroup)) == said


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/system.slice/docker-01.scope\n",
        "0::/machine.slice/libpod-01.scope/container\n",
        "4:cpu:/\n0::/docker/01",
    ],
)
def test_a_process_in_a_container_is_known_as_such(cgroup: str) -> None:
    assert runner_of(1, "app", "/app", cgroup).container
