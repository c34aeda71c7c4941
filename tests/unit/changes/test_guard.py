"""When a run is held, and why: on the MASTER, with trees; the rule itself is in tests/unit/model/test_guard.py."""

from __future__ import annotations

import os
import shutil

import pytest

from hotsync.changes import guard
from hotsync.model.guard import GuardRule
from hotsync.model.selection import Selection
from hotsync.profiles.resolve import queue_rules
from tests.unit.changes.support import Server, selection

RULE = GuardRule(share=50, files=10)


def committed(server: Server, remember: bool = True) -> None:
    detection = server.commit()
    if remember:
        guard.remember(server.manifest, detection)


def reasons(server: Server, rule: GuardRule = RULE) -> tuple[str, ...]:
    return guard.check(server.manifest, server.rules, server.detect(), rule)


def full(server: Server) -> None:
    for number in range(20):
        server.write(f"data/{number}")


def test_a_first_generation_is_never_held(server: Server) -> None:
    full(server)
    assert reasons(server) == ()


def test_an_unchanged_server_is_never_held(server: Server) -> None:
    full(server)
    committed(server)
    assert reasons(server) == ()


def test_a_root_that_is_gone_empty_or_another_thing_is_named(server: Server) -> None:
    full(server)
    committed(server)
    shutil.rmtree(server.path("data"))
    assert reasons(server)[0] == "/data is missing; it held 21 entries"
    os.mkdir(server.path("data"))
    assert reasons(server)[0] == "/data is empty; it held 21 entries"
    os.rmdir(server.path("data"))
    os.symlink("elsewhere", server.path("data"))
    assert reasons(server)[0] == "/data was a folder and is a symbolic link now"


def test_the_manifest_tells_what_was_there_when_nothing_was_remembered(server: Server) -> None:
    full(server)
    committed(server, remember=False)
    shutil.rmtree(server.path("data"))
    assert reasons(server)[0] == "/data is missing; it held 21 entries"


def test_a_root_that_was_not_there_before_may_stay_away(server: Server) -> None:
    server.rules = selection("+ /data", "+ /srv")
    full(server)
    committed(server)
    assert reasons(server) == ()


def test_a_root_that_no_rule_names_any_more_is_missed_until_that_is_accepted(server: Server) -> None:
    full(server)
    server.write("srv/a")
    server.rules = selection("+ /data", "+ /srv")
    committed(server)
    server.rules = selection("+ /data")
    assert reasons(server) == ("/srv is missing; it held 2 entries",)
    committed(server)
    assert reasons(server) == ()


def test_the_mail_queue_of_a_switchover_that_was_given_up_is_not_missed_in_the_next_run(server: Server) -> None:
    full(server)
    for name in ("postfix/active/A1", "exim4/input/x-H"):
        server.write(f"var/spool/{name}")
    with_queues = Selection([*server.rules.rules, *queue_rules()])
    plain, server.rules = server.rules, with_queues
    committed(server)
    server.rules = plain
    assert reasons(server) == ()
    # a site that wants the queue in every run misses it
    server.rules = with_queues
    shutil.rmtree(server.path("var/spool/postfix"))
    assert reasons(server) == ("/var/spool/postfix is missing; it held 3 entries",)


@pytest.mark.parametrize("lines", [("- /srv",), ("= /srv",), ("- /srv", "- /srv/a"), ("- /s*",)])
def test_a_root_that_a_rule_leaves_out_by_name_is_not_missed(server: Server, lines: tuple[str, ...]) -> None:
    full(server)
    server.write("srv/a")
    server.rules = selection("+ /data", "+ /srv")
    committed(server)
    server.rules = selection("+ /data", *lines)
    assert reasons(server) == ()


def test_a_root_in_a_folder_that_is_left_out_is_still_missed(server: Server) -> None:
    full(server)
    server.write("srv/disk/a")
    server.rules = selection("+ /data", "- /srv", "+ /srv/disk")
    committed(server)
    server.rules = selection("+ /data", "- /srv")
    assert reasons(server) == ("/srv/disk is missing; it held 2 entries",)


def test_a_mount_that_is_gone_is_named_although_its_folder_is_there(server: Server) -> None:
    full(server)
    server.write("data/disk/a")
    server.mounts = frozenset({"data/disk"})
    server.table = {"": "ext4", "data/disk": "ext4"}
    committed(server)
    assert reasons(server) == ()
    server.mounts, server.table = frozenset(), {"": "ext4"}
    assert reasons(server) == ("/data/disk is not mounted; it was, and held 2 entries",)
    os.unlink(server.path("data/disk/a"))
    assert reasons(server) == ("/data/disk is not mounted; it was, and held 2 entries",)


def test_a_root_that_is_no_longer_mounted_is_named(server: Server) -> None:
    full(server)
    server.table = {"": "ext4", "data": "xfs"}
    committed(server)
    server.table = {"": "ext4"}
    assert reasons(server) == ("/data is not mounted; it was, and held 21 entries",)


def test_a_foreign_mount_over_protected_data_is_named(server: Server) -> None:
    full(server)
    server.write("data/sub/a")
    committed(server)
    server.table = {"": "ext4", "data/sub": "nfs4"}
    assert reasons(server) == ("/data/sub is covered by a mount that is not carried, which hides 1 entry",)


def test_a_root_that_cannot_be_read_is_no_reason_to_hold(server: Server) -> None:
    full(server)
    committed(server)

    def status_of(name: bytes, **more: object) -> os.stat_result:
        raise OSError(5, "Input/output error")

    detection = server.detect(status_of=status_of)
    assert guard.check(server.manifest, server.rules, detection, RULE) == ()
    assert detection.summary.deleted == 0


def test_a_root_that_cannot_be_read_for_a_while_is_still_missed_later(server: Server) -> None:
    full(server)
    committed(server)

    def status_of(name: bytes, **more: object) -> os.stat_result:
        raise OSError(5, "Input/output error")

    guard.remember(server.manifest, server.detect(status_of=status_of))
    shutil.rmtree(server.path("data"))
    assert reasons(server)[0] == "/data is missing; it held 21 entries"


def test_a_server_that_was_moved_to_a_new_disk_is_not_held(server: Server) -> None:
    full(server)
    committed(server)
    shutil.copytree(os.fsdecode(server.path("data")), os.fsdecode(server.path("new")))
    shutil.rmtree(server.path("data"))
    os.rename(server.path("new"), server.path("data"))
    assert len(server.changes()) == 21
    assert reasons(server) == ()


def test_many_deleted_and_rewritten_files_hold_a_run(server: Server) -> None:
    full(server)
    committed(server)
    for number in range(6):
        os.unlink(server.path(f"data/{number}"))
    for number in range(10, 15):
        server.write(f"data/{number}", b"noise")
    assert reasons(server) == ("6 files would be deleted and 5 rewritten, 55 % of 20 (GuardShare is 50)",)
    assert reasons(server, GuardRule(50, 12)) == ()
    assert reasons(server, GuardRule(60, 1)) == ()


def test_a_renamed_folder_and_new_modes_do_not_hold_a_run(server: Server) -> None:
    full(server)
    committed(server)
    os.mkdir(server.path("data/new"))
    for number in range(20):
        os.chmod(server.path(f"data/{number}"), 0o600)
        os.rename(server.path(f"data/{number}"), server.path(f"data/new/{number}"))
    assert reasons(server) == ()


def test_what_is_remembered_in_another_form_is_ignored(server: Server) -> None:
    full(server)
    committed(server)
    for text in ("", "[]", '{"places": {"data": 3}}', '{"places": {"data": ["x", 1, 1]}}', '{"places": []}'):
        server.manifest.set_meta("places", text)
        assert reasons(server) == ()
