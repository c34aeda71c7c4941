"""Limits set again, with a program in setquota's place: the tests' kernel has no quotas."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends import quotas
from hotsync.model.facts import LimitFact, QuotaFact
from hotsync.system import command
from hotsync.system.mounts import Mount
from hotsync.system.quota_times import read_grace_times

pytestmark = pytest.mark.contract

LIMITS = (LimitFact(1000, 10, 20, 0, 0), LimitFact(70001, 0, 0, 5, 6))


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with user quotas at /home, and a folder whose programs are found."""
    home = Mount("/home", "ext4", "/dev/sda2", "/", "rw,quota,usrquota")
    monkeypatch.setattr(quotas, "read_mounts", lambda: [home])
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}:/bin")
    return tmp_path


def install(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_limits_are_set_by_number_where_quotas_are_on_and_told_where_they_are_not(programs: Path) -> None:
    install(programs, "setquota", f'echo "$@" >>{programs}/said; cat >>{programs}/said')
    wanted = [QuotaFact("/home", kind, LIMITS) for kind in ("user", "group")] + [QuotaFact("/srv", "user")]
    assert list(quotas.set_quotas(wanted)) == ["group quotas are not on at /home"]
    assert (programs / "said").read_text() == "-u -b -- /home\n1000 10 20 0 0\n70001 0 0 5 6\n"


def test_grace_times_are_set_after_the_limits_where_the_master_told_them(programs: Path) -> None:
    install(programs, "setquota", f'echo "$@" >>{programs}/said; cat >>{programs}/said')
    told = QuotaFact("/home", "user", LIMITS[:1], grace=604800, files_grace=3600)
    assert list(quotas.set_quotas([told])) == []
    assert (programs / "said").read_text() == "-u -b -- /home\n1000 10 20 0 0\n-u -t -- 604800 3600 /home\n"


def test_grace_times_that_the_kernel_does_not_tell_are_none(tmp_path: Path) -> None:
    assert read_grace_times(str(tmp_path / "no device"), "user") == (0, 0)


def test_limits_that_cannot_be_set_are_told(programs: Path) -> None:
    install(programs, "setquota", "echo 'setquota: Cannot set quota: Disk on fire' >&2; exit 1")
    (said,) = quotas.set_quotas([QuotaFact("/home", "user", LIMITS)])
    assert "Disk on fire" in said


def test_where_limits_cannot_be_read_it_is_known_that_quotas_are_on(programs: Path) -> None:
    assert quotas.read_quotas() == (QuotaFact("/home", "user", unread=True),)
    install(programs, "repquota", "echo '#5 -- 0 1 2 0 0 3 4 0'")
    assert quotas.read_quotas() == (QuotaFact("/home", "user", (LimitFact(5, 1, 2, 3, 4),)),)
