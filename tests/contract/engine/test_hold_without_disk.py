"""A superseded MASTER whose disk takes nothing: it serves nothing all the same, and for good as soon as it does."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.standstill import Standstill
from hotsync.engine.one_master.hold import Holding
from hotsync.model.hold import HeardBy
from hotsync.state import store
from hotsync.state.hold import held, load_hold, note_superseded
from hotsync.system.paths import Paths
from tests.unit.engine.test_hold import BRIDGE, OTHER, OURS, STANDBY, Machine, holding, is_held, make


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """A MASTER on a small disk of its own, with /run on another one."""
    root = tmp_path / "host"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", root], check=True)
    try:
        made = make(root)
        (root / "run").mkdir()
        (root / "etc/systemd/system").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", root / "run"], check=True)
        try:
            yield made
        finally:
            subprocess.run(["umount", root / "run"], check=True)
    finally:
        subprocess.run(["umount", root], check=True)


def read_only(paths: Paths) -> Callable[[], None]:
    """The kernel has taken the disk for broken; return what repairs it."""
    subprocess.run(["mount", "-o", "remount,ro", paths.root], check=True)

    def repair() -> None:
        subprocess.run(["mount", "-o", "remount,rw", paths.root], check=True)

    return repair


def full(paths: Paths) -> Callable[[], None]:
    """Nobody finds room on the disk; return what makes some."""
    filler = paths.root / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017
    return filler.unlink


def on(paths: Paths, machine: Machine) -> Holding:
    still = Standstill(paths, machine.systemctl, lambda _: None)
    return replace(holding(paths, machine), still=still)


@pytest.mark.parametrize("spoil", [read_only, full])
def test_it_serves_nothing_and_is_held_for_good_as_soon_as_the_disk_takes_it(
    paths: Paths, spoil: Callable[[Paths], Callable[[], None]]
) -> None:
    machine, record = Machine(), store.load_role(paths)
    repair = spoil(paths)
    assert note_superseded(paths, record, 4, HeardBy.CALLING, 5.0)
    assert not paths.hold_file.exists()
    for _ in range(2):  # hotsync-hold.service tries again and again
        with pytest.raises(OSError, match=r"Read-only|No space"):
            on(paths, machine).apply()
        assert set(machine.addresses) == {STANDBY, BRIDGE}
        assert not machine.active & {"dovecot.service", "hotsync.timer"}
        blocked = {path.parent.name for path in paths.at("/run/systemd/system").glob("*.d/zz-hotsync-handover.conf")}
        assert {"dovecot.service.d", "shop.timer.d"} <= blocked
        known = held(paths)
        assert known is not None
        assert (known.epoch, known.addresses) == (4, (OURS, OTHER))
        assert "dovecot.service" in known.ran
    repair()
    done = on(paths, machine).apply()
    assert is_held(paths, machine)
    assert done == load_hold(paths)
    assert done is not None
    assert (done.epoch, done.addresses) == (4, (OURS, OTHER))
    assert {"dovecot.service", "ran-by-hand.service"} <= set(done.ran)
    assert paths.hold_file.exists()
    assert not paths.hold_of_this_boot.exists()
    assert Mute(paths, machine.systemctl).muted() >= {"dovecot.service"}
