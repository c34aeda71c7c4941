"""Which files, units and siblings packages have, asked of the real rpm; and what a MASTER tells of its packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends import package_files
from hotsync.backends.packages.dnf import Dnf
from hotsync.model.facts import PackageFact
from hotsync.model.packages.values import Request, Transaction
from hotsync.model.packages.wants import Marks
from hotsync.sources.facts import read_packages
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract


@pytest.fixture
def world(tmp_path: Path) -> DnfRoot:
    world = DnfRoot(tmp_path)
    world.offer("mail", "1:3.5-2", units=("mail.service", "mail@.service"), Requires="queue")
    world.offer("queue", units=("queue.timer",))
    dnf = Dnf(world.paths)
    assert dnf.refresh() == ""
    dnf.install([Request("mail", "1:3.5-2")], Transaction())
    (world.root / "usr/lib/systemd/system/mine.service").touch()
    return world


def test_names_files_and_units_are_those_of_the_packages(world: DnfRoot) -> None:
    assert package_files.read_names(world.root) == {"mail", "queue"}
    assert package_files.read_files(world.root, ["mail", "absent"]) == {
        "/usr/share/mail", "/usr/lib/systemd/system/mail.service", "/usr/lib/systemd/system/mail@.service",
    }  # fmt: skip
    assert set(package_files.read_unit_owners(world.root)) == {
        ("mail.service", "mail"), ("mail@.service", "mail"), ("queue.timer", "queue"),
    }  # fmt: skip


def test_what_no_package_brought_is_told_from_what_one_did(world: DnfRoot) -> None:
    for name in ("mail", "mine"):
        (world.root / "usr/lib/systemd/system" / f"{name}.service").touch()
    owned = package_files.read_all_files(world.root)
    assert {"/usr/share/mail", "/usr/share/queue", "/usr/lib/systemd/system/queue.timer"} <= owned
    assert "/usr/lib/systemd/system/mine.service" not in owned
    asked = ["/usr/lib/systemd/system/queue.timer", "/usr/lib/systemd/system/mine.service"]
    assert package_files.owners_of(world.root, asked) == {asked[0]: "queue"}


def test_what_a_package_needs_of_its_own_source_is_found_with_it(world: DnfRoot) -> None:
    assert package_files.read_with_siblings(world.root, ["mail", "absent"]) == {"mail"}, "queue has another source"


def test_a_master_tells_versions_with_their_epochs_marks_and_locks(world: DnfRoot) -> None:
    Dnf(world.paths).mark(Marks(hold=("mail",)))
    assert read_packages(world.paths) == (
        PackageFact("mail", "1:3.5-2", "noarch", True, True),
        PackageFact("queue", "1.0-1", "noarch", False, False),
    )
