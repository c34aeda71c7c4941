"""The administrator's lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.model.report import Notice
from hotsync.model.selection import Action, Rule, Selection
from hotsync.sources.lists import parse_list, read_lists
from hotsync.sources.plugins import expand, find_plugins, site_rules
from hotsync.state.site import SiteMemory, load_site
from hotsync.system.paths import Paths


def lists(tmp_path: Path, files: dict[str, bytes]) -> Paths:
    for name, data in files.items():
        path = tmp_path / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Paths(tmp_path)


def test_a_file_without_a_final_line_end_glues_nothing_to_the_next(tmp_path: Path) -> None:
    paths = lists(tmp_path, {"backup-data.d/mail.exclude": b"/a\n/b", "backup-data.d/openvpn.exclude": b"/c"})
    rules, notices = read_lists(paths)
    assert rules == (
        Rule("/a", Action.EXCLUDE, "/etc/backup-data.d/mail.exclude:1"),
        Rule("/b", Action.EXCLUDE, "/etc/backup-data.d/mail.exclude:2"),
        Rule("/c", Action.EXCLUDE, "/etc/backup-data.d/openvpn.exclude:1"),
    )
    assert notices == ()


def test_both_folders_count_and_other_files_do_not(tmp_path: Path) -> None:
    paths = lists(
        tmp_path,
        {
            "backup-data.d/x.include": b"/data\n",
            "backup-config.d/x.include": b"/conf\n",
            "backup-data.d/README": b"/no\n",
        },
    )
    assert [rule.pattern for rule in read_lists(paths)[0]] == ["/data", "/conf"]
    assert read_lists(Paths(tmp_path / "nowhere")) == ((), ())


@pytest.mark.parametrize("line", ["relative/path", "# a comment", "~/x", "/a/../etc/shadow", "/a/./b", "*"])
def test_an_odd_line_is_named_with_file_and_line_and_the_next_ones_count(line: str) -> None:
    rules, notices = parse_list(f"/good\n\n{line}\n/also good  \n", Action.INCLUDE, "/etc/x.include")
    assert [rule.pattern for rule in rules] == ["/good", "/also good"]
    assert len(notices) == 1
    assert notices[0].sentence.startswith("/etc/x.include:3: ")


def test_names_of_any_bytes_and_doubled_slashes(tmp_path: Path) -> None:
    paths = lists(tmp_path, {"backup-data.d/x.include": b"/a\xff//b/\n/a\xff/b\n/x\tq\n/\n"})
    assert [rule.pattern for rule in read_lists(paths)[0]] == ["/a\udcff/b", "/x\tq", "/"]


def test_an_explicit_include_beats_a_wider_exclude() -> None:
    rules, _ = parse_list("/var/log/\n", Action.EXCLUDE, "e")
    more, _ = parse_list("/var/log/smbaudit.log\n", Action.INCLUDE, "i")
    selection = Selection([*rules, *more])
    assert selection.decide("var/log/smbaudit.log").action is Action.INCLUDE
    assert selection.decide("var/log/syslog").action is Action.EXCLUDE


def test_a_plugin_that_is_not_safe_to_run_is_named_and_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "etc/hotsync.d"
    folder.mkdir(parents=True)
    for name, mode in (("10-good", 0o755), ("20-writable", 0o775), ("30-other", 0o757), ("40-not-executable", 0o644)):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(mode)
    (folder / "50-link").symlink_to(folder / "10-good")
    (folder / "60-folder").mkdir()
    (folder / "05-stranger").write_text("#!/bin/sh\n")
    (folder / "05-stranger").chmod(0o755)
    import os

    os.chown(folder / "05-stranger", 12345, 0)
    notices: list[Notice] = []
    assert [path.name for path in find_plugins(folder, notices)] == ["10-good"]
    assert [Path(notice.path).name for notice in notices] == [
        "05-stranger", "20-writable", "30-other", "50-link", "60-folder",
    ]  # fmt: skip


def test_without_plugins_the_lists_alone_count(tmp_path: Path) -> None:
    paths = lists(tmp_path, {"backup-data.d/x.include": b"/data\nbad\n"})
    found = site_rules(paths)
    assert found.rules == (Rule("/data", Action.INCLUDE, "/etc/backup-data.d/x.include:1"),)
    assert len(found.notices) == 1


def test_an_include_is_expanded_as_a_shell_would(tmp_path: Path) -> None:
    for name in ("srv/b1", "srv/b2", "srv/.hidden", "srv/b*"):
        (tmp_path / name).mkdir(parents=True)
    paths = Paths(tmp_path)
    assert expand("/srv/b?", paths) == ["/srv/b[*]", "/srv/b1", "/srv/b2"]
    assert expand("/srv/*", paths) == ["/srv/b[*]", "/srv/b1", "/srv/b2"]
    assert expand("/srv/b*", paths) == ["/srv/b[*]"], "a name that is there is meant, as it stands"
    assert expand("/srv/none*", paths) == []
    assert expand("/srv/missing/", paths) == ["/srv/missing"]


def test_a_list_that_cannot_be_read_is_taken_as_it_was_read_last(tmp_path: Path) -> None:
    paths = lists(tmp_path, {"backup-data.d/x.include": b"/data/\xff\n/more\n", "backup-data.d/y.exclude": b"/no\n"})
    good = site_rules(paths)
    assert good.notices == ()
    broken = tmp_path / "etc/backup-data.d/x.include"
    broken.unlink()
    broken.symlink_to("/not/mounted/x.include")
    for _ in range(2):
        found = site_rules(paths)
        assert set(found.rules) == set(good.rules)
        assert [notice.code for notice in found.notices] == ["lists.unreadable"]
    broken.unlink()
    assert [rule.pattern for rule in site_rules(paths).rules] == ["/no"]
    broken.symlink_to("/not/mounted/x.include")
    assert [rule.pattern for rule in site_rules(paths).rules] == ["/no"], "what was removed is forgotten"


def test_what_is_remembered_of_the_site_survives_no_damage(tmp_path: Path) -> None:
    paths = lists(tmp_path, {"backup-data.d/x.include": b"/data\n"})
    site_rules(paths)
    good = paths.site_memory.read_bytes()
    assert load_site(paths) != SiteMemory()
    for data in (b"", b"[]", b"{}", good[:-5], good.replace(b'"schema": 1', b'"schema": 2'), b'{"schema": 1}'):
        paths.site_memory.write_bytes(data)
        assert load_site(paths) == SiteMemory()
