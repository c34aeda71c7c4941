"""Plugins, facts and the configuration backup on this very machine."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.backup_config import backup_config as command_line
from hotsync.errors import SourceError
from hotsync.model.report import Notice, Verdict
from hotsync.model.selection import Action, Rule
from hotsync.sources import backup_config, facts
from hotsync.sources.plugins import SiteRules, site_rules
from hotsync.sources.source import Context
from hotsync.state.facts import load_facts
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.sources.observe import changed, seen

pytestmark = pytest.mark.contract


def plugin(paths: Paths, name: str, script: str) -> str:
    path = paths.plugins / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def lists(paths: Paths, name: str, text: str) -> None:
    path = paths.at("/etc/backup-data.d") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_plugins_append_and_edit_in_name_order_as_the_originals_did(context: Context) -> None:
    paths = context.paths
    lists(paths, "a.exclude", "/var/www/html/freepbx\n/var/www/html/freepbxfoo")
    (paths.root / "srv/one").mkdir(parents=True)
    second = plugin(paths, "20-second", 'grep -q /opt/first "$1" && printf "/opt/second" >> "$1"')
    first = plugin(paths, "10-first", 'printf "/opt/first\\n/srv/*\\n" >> "$1"; sed -i "/freepbx$/d" "$2"')
    begun: list[str] = []
    found = site_rules(paths, begin=begun.append)
    assert found.notices == ()
    assert set(found.rules) == {
        Rule("/var/www/html/freepbxfoo", Action.EXCLUDE, "/etc/backup-data.d/a.exclude:2"),
        Rule("/opt/first", Action.INCLUDE, first),
        Rule("/srv/one", Action.INCLUDE, first),
        Rule("/opt/second", Action.INCLUDE, second),
    }
    assert begun == [first, second]


def test_a_plugin_that_fails_is_named_and_dropped_and_the_others_go_on(context: Context) -> None:
    paths = context.paths
    lists(paths, "a.include", "/data\n")
    bad = plugin(paths, "10-bad", 'echo /opt/half >> "$1"; : > "$2"; echo "no such thing" >&2; exit 3')
    hanging = plugin(paths, "20-hangs", 'echo /opt/hung >> "$1"; exec sleep 1000')
    rude = plugin(paths, "30-rude", 'rm "$1"; mkdir "$1"')
    good = plugin(paths, "40-good", 'echo /opt/good >> "$1"; echo not/absolute >> "$2"')
    found = site_rules(paths, timeout=0.5)
    assert set(found.rules) == {
        Rule("/data", Action.INCLUDE, "/etc/backup-data.d/a.include:1"),
        Rule("/opt/good", Action.INCLUDE, good),
    }
    assert [notice.path for notice in found.notices] == [bad, hanging, rude, good]
    assert "no such thing" in found.notices[0].sentence


def test_a_dry_run_runs_no_plugin_and_remembers_nothing(context: Context) -> None:
    plugin(context.paths, "x", f"touch {context.paths.root}/ran")
    lists(context.paths, "a.include", "/data\n")
    assert [rule.pattern for rule in site_rules(context.paths, plugins=False).rules] == ["/data"]
    assert not (context.paths.root / "ran").exists()
    assert not context.paths.site_memory.exists()


def test_what_a_plugin_did_last_holds_while_it_fails_or_is_not_safe_or_not_run(context: Context) -> None:
    paths = context.paths
    lists(paths, "a.exclude", "/srv/cache\n/srv/tmp\n")
    name = plugin(paths, "x", f'[ -e {paths.root}/broken ] && exit 1; echo /opt/dump >> "$1"; sed -i "/cache/d" "$2"')
    good = site_rules(paths)
    assert {rule.pattern for rule in good.rules} == {"/opt/dump", "/srv/tmp"}
    assert set(site_rules(paths, plugins=False).rules) == set(good.rules)
    (paths.root / "broken").touch()
    for _ in range(2):
        failed = site_rules(paths)
        assert set(failed.rules) == set(good.rules)
        assert [notice.path for notice in failed.notices] == [name]
        assert failed.notices[0].sentence.endswith("what it did before holds")
    (paths.root / "broken").unlink()
    Path(name).chmod(0o777)
    unsafe = site_rules(paths)
    assert set(unsafe.rules) == set(good.rules)
    assert [notice.code for notice in unsafe.notices] == ["plugins.skipped"]


@pytest.mark.parametrize("take_away", [Path.unlink, lambda path: path.chmod(0o644)])
def test_a_plugin_that_was_removed_is_forgotten(context: Context, take_away: Callable[[Path], None]) -> None:
    path = Path(plugin(context.paths, "x", 'echo /opt/dump >> "$1"'))
    assert len(site_rules(context.paths).rules) == 1
    take_away(path)
    assert site_rules(context.paths) == SiteRules()
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    assert site_rules(context.paths).rules == ()


def test_the_facts_of_this_machine_are_equal_while_nothing_changes(context: Context) -> None:
    for name in ("passwd", "group"):
        target = context.paths.at(f"/etc/{name}")
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(Path(f"/etc/{name}").read_bytes())
    dataset = facts.inspect(context)[0]
    facts.collect(context, dataset)
    before = seen(context.paths.spool)
    facts.collect(context, dataset)
    assert changed(before, seen(context.paths.spool)) == set()
    told = load_facts(context.paths.spool)
    assert "dpkg" in {package.name for package in told.packages}
    assert ("root", 0) in {(user.name, user.uid) for user in told.users}
    assert told.network.host_name == os.uname().nodename
    assert "/" in {mount.point for mount in told.mounts}
    assert facts.verify(context.paths.spool / "facts")[0].verdict is Verdict.GREEN


def server(context: Context) -> Context:
    etc = context.paths.at("/etc")
    (etc / "ssh").mkdir(parents=True)
    (etc / "hostname").write_text("master\n")
    (etc / "ssh/sshd config").write_text("Port 22\n")
    (etc / "ssh/ssh_host_rsa_key").write_text("private\n")
    database = context.paths.configuration
    database.parent.mkdir(parents=True)
    database.write_text("rsyncd=service|TCPPort|873|password|very secret|status|disabled\n")
    return context


def folder_of(context: Context) -> Path:
    return context.paths.spool / "backup-config"


def test_the_archive_is_one_that_tar_and_md5sum_read_and_holds_no_secret(context: Context) -> None:
    server(context)
    assert backup_config.back_up(context)
    folder = folder_of(context)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("backup-config.tar.xz", "backup-config.tar.xz.md5", "backup-config.tar.xz-content.md5", "package-list"), 0o600
    )
    place = context.paths.root / "unpacked"
    place.mkdir()
    command.run(["tar", "--extract", "--xz", f"--file={folder}/backup-config.tar.xz", f"--directory={place}"])
    assert (place / "etc/ssh/sshd config").read_text() == "Port 22\n"
    assert not (place / "etc/ssh/ssh_host_rsa_key").exists()
    text = (place / "var/lib/hotsync/db/configuration").read_text()
    assert "very secret" not in text
    assert "TCPPort|873" in text
    content = (folder / "backup-config.tar.xz-content.md5").read_bytes().replace(b"  /", b"  ./")
    command.run(["md5sum", "--check", "--strict"], input=content, cwd=str(place))
    line = (folder / "backup-config.tar.xz.md5").read_bytes()
    assert line.endswith(b"  /var/lib/hotsync/spool/backup-config/backup-config.tar.xz\n")
    command.run(["md5sum", "--check"], input=line.replace(b"  /", b"  ./"), cwd=str(context.paths.root))
    assert backup_config.verify(folder)[0].verdict is Verdict.GREEN
    assert (place / "var/lib/hotsync/spool/backup-config/package-list").read_bytes() == (
        folder / "package-list"
    ).read_bytes()


def test_the_archive_is_rewritten_only_if_something_changed(context: Context) -> None:
    server(context)
    backup_config.back_up(context)
    before = seen(context.paths.spool)
    assert not backup_config.back_up(context)
    assert changed(before, seen(context.paths.spool)) == set()
    assert not backup_config.back_up(context, force=True), "made anew, it is the same"
    assert changed(before, seen(context.paths.spool)) == set()
    context.paths.at("/etc/hostname").write_text("other\n")
    assert backup_config.back_up(context)
    assert {name for name in changed(before, seen(context.paths.spool)) if name.endswith(("xz", "md5"))} == {
        "backup-config/backup-config.tar.xz",
        "backup-config/backup-config.tar.xz.md5",
        "backup-config/backup-config.tar.xz-content.md5",
    }


def test_an_archive_that_was_damaged_is_made_anew(context: Context) -> None:
    server(context)
    backup_config.back_up(context)
    path = folder_of(context) / "backup-config.tar.xz"
    path.write_bytes(path.read_bytes()[:-10])
    assert backup_config.verify(folder_of(context))[0].verdict is Verdict.RED
    assert backup_config.back_up(context)
    assert backup_config.verify(folder_of(context))[0].verdict is Verdict.GREEN


def test_a_full_disk_never_leaves_half_an_archive(context: Context) -> None:
    server(context)
    command.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(context.paths.state)])
    try:
        backup_config.back_up(context)
        before = seen(context.paths.spool)
        context.paths.at("/etc/ssh/moduli").write_bytes(os.urandom(600_000))
        with pytest.raises(SourceError, match="is full"):
            backup_config.back_up(context)
        assert changed(before, seen(context.paths.spool)) == set()
        assert backup_config.verify(folder_of(context))[0].verdict is Verdict.GREEN
    finally:
        command.run(["umount", str(context.paths.state)])


def test_wrong_lines_in_the_lists_are_told(context: Context) -> None:
    server(context)
    path = context.paths.at("/etc/backup-config.d/x.include")
    path.parent.mkdir()
    path.write_text("relative\n/etc/ssh/ssh_host_rsa_key\n")
    notices: list[Notice] = []
    backup_config.back_up(replace(context, notice=notices.append))
    assert [notice.path for notice in notices] == ["/etc/backup-config.d/x.include"]
    with tarfile.open(folder_of(context) / "backup-config.tar.xz") as tar:
        assert "etc/ssh/ssh_host_rsa_key" in tar.getnames(), "an administrator's word beats the default"


def test_on_nethserver_the_files_go_where_they_always_went_and_others_stay(context: Context) -> None:
    server(context)
    place = context.paths.at("/var/lib/nethserver/backup")
    (place / "history").mkdir(parents=True)
    (place / "history/c01.tar.xz").write_text("x")
    backup_config.back_up(context)
    assert (place / "backup-config.tar.xz").exists()
    assert (place / "history/c01.tar.xz").exists()
    assert not folder_of(context).exists()


def run_command(context: Context, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, list[str]]:
    monkeypatch.setenv("HOTSYNC_ROOT", str(context.paths.root))
    result = CliRunner().invoke(command_line, list(words))
    return result.exit_code, result.stdout.splitlines()


def test_the_command_prints_and_ends_as_the_original(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    server(context)
    code, lines = run_command(context, monkeypatch)
    assert code == 0
    assert lines[0] == "===== Report for configuration backup ====="
    assert [line.partition(" at ")[0].partition(": ")[0] for line in lines[1:] if line] == [
        "Backup started", "Event pre-backup-config", "Action backup-config-execute", "Event post-backup-config",
        "Backup status", "Backup ended", "Time elapsed",
    ]  # fmt: skip
    assert "Backup status: SUCCESS" in lines


def test_the_command_fails_with_its_events(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    server(context)
    event = context.paths.site_events / "pre-backup-config.d/S10fails"
    event.parent.mkdir(parents=True)
    event.write_text("#!/bin/sh\nexit 1\n")
    event.chmod(0o755)
    code, lines = run_command(context, monkeypatch)
    assert code == 1
    assert "Event pre-backup-config: FAIL" in lines
    assert "Action backup-config-execute: SUCCESS" in lines
    assert "Backup status: FAIL" in lines


def test_the_command_does_nothing_where_it_is_switched_off(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    server(context)
    with context.paths.configuration.open("a") as file:
        file.write("backup-config=configuration|status|disabled\n")
    assert run_command(context, monkeypatch) == (0, [])
    assert not folder_of(context).exists()


def test_lock_files_of_databases_stay_out_and_a_database_that_a_list_names_is_in_once_and_as_it_is(
    context: Context,
) -> None:
    paths = context.paths
    paths.databases.mkdir(parents=True, exist_ok=True)
    (paths.databases / "configuration").write_text("rsyncd=service|password|geheim\n")
    (paths.databases / "hosts").write_text("a=host|password|geheim\n")
    (paths.databases / "hosts.lock").touch()
    custom = paths.at("/etc/backup-config.d/custom.include")
    custom.parent.mkdir(parents=True, exist_ok=True)
    custom.write_text("/var/lib/hotsync/db/hosts\n")
    backup_config.back_up(context)
    archive = str(folder_of(context) / "backup-config.tar.xz")
    names = command.run(["tar", "--list", f"--file={archive}"]).text.splitlines()
    assert [name for name in names if "hotsync/db/" in name] == [
        "var/lib/hotsync/db/configuration", "var/lib/hotsync/db/hosts",
    ]  # fmt: skip
    shown = command.run(["tar", "--extract", "--to-stdout", f"--file={archive}", "var/lib/hotsync/db/hosts"])
    assert shown.text == "a=host|password|geheim\n"
