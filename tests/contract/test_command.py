"""The one door to other programs, with real ones."""

from __future__ import annotations

import pwd

import pytest

from hotsync.errors import CommandFailed
from hotsync.system.command import run

pytestmark = pytest.mark.contract


def test_an_answer_that_is_too_long_is_a_failure_and_never_taken_for_all_of_it() -> None:
    assert run(["head", "-c", "5000", "/dev/zero"], limit=5000).stdout == b"\0" * 5000
    with pytest.raises(CommandFailed, match="more than 4 KiB of output"):
        run(["head", "-c", "5001", "/dev/zero"], limit=5000)


def test_output_that_nobody_reads_and_errors_are_cut_and_say_so() -> None:
    assert run(["seq", "5000"], limit=10, unread=True).text == "1\n2\n3\n4\n5\n\n[cut: 23883 bytes more]\n"
    said = run(["sh", "-c", "seq 5000 >&2"], limit=10)
    assert (said.text, said.errors) == ("", "1\n2\n3\n4\n5\n\n[cut: 23883 bytes more]\n")


def test_a_program_that_fails_is_told_as_such_however_much_it_says() -> None:
    with pytest.raises(CommandFailed, match="exit 3"):
        run(["sh", "-c", "seq 5000; exit 3"], limit=10)


def test_a_program_of_another_user_has_his_rights_and_his_first_group_alone() -> None:
    account = pwd.getpwnam("www-data")
    told = run(["sh", "-c", "id -u; id -G; grep CapEff /proc/self/status"], user="www-data", cwd="/").text.split()
    assert told == [str(account.pw_uid), str(account.pw_gid), "CapEff:", "0" * 16]
    with pytest.raises(CommandFailed, match=r"^nothing-there failed \(not started\)"):
        run(["nothing-there"], user="www-data", cwd="/")
    with pytest.raises(CommandFailed) as failed:
        run(["sh", "-c", "exit 3"], user="www-data", cwd="/")
    assert (failed.value.facts["program"], failed.value.facts["line"]) == ("sh", "sh -c 'exit 3'")
