"""Which packages are of no repository, and of which of them a person is asked."""

from __future__ import annotations

from hotsync.model.packages.family import DEBIAN
from hotsync.model.packages.local import NO_TOOL, LocalPackage, are_too_many, carried_here, find_local, to_accept
from hotsync.model.packages.values import Package
from hotsync.model.packages.wants import Machine

MACHINE = Machine(DEBIAN, "amd64")


def installed(*packages: Package) -> dict[str, Package]:
    return {each.name: each for each in packages}


def test_what_no_repository_has_or_only_older_is_of_none_and_what_waits_for_an_update_is_not() -> None:
    here = installed(
        Package("nowhere", "1", "all"), Package("patched", "1+local", "all"), Package("waits", "1", "all"),
        Package("held", "1", "all", held=True), Package("offered", "1", "all"), Package("linux-image-6", "1", "amd64"),
    )  # fmt: skip
    offered = {"patched": ["1"], "waits": ["2"], "held": ["2"], "offered": ["2", "1"]}
    found = find_local(here, offered, DEBIAN.order)
    assert [name for name, _ in found] == ["held", "nowhere", "patched"]


def test_more_than_a_person_installs_from_files_are_a_sign_of_lists_that_are_incomplete() -> None:
    assert not are_too_many(50, 60)
    assert are_too_many(51, 300)
    assert not are_too_many(200, 2000)
    assert are_too_many(201, 2000)


def test_what_is_no_package_of_this_server_is_never_asked_for() -> None:
    told = [
        LocalPackage(*words)
        for words in (
            ("good", "1", "amd64"), ("-o", "1", "all"), ("odd", "../1", "all"), ("other", "1", "riscv64"),
            ("grub-pc", "1", "amd64"), ("all", "1:2~3", "all"),
        )
    ]  # fmt: skip
    assert [each.name for each in carried_here(told, MACHINE)] == ["good", "all"]


def test_a_person_is_asked_once_for_every_file_that_would_bring_something() -> None:
    files = [LocalPackage("a", "2", "all", digit * 64) for digit in "12"]
    lacking = LocalPackage("b", "1", "all", lack=NO_TOOL)
    assert to_accept([*files, lacking], {}, {"1" * 64}, MACHINE) == (files[1],)
    assert to_accept(files, installed(Package("a", "1", "all")), (), MACHINE) == tuple(files)
    assert to_accept(files, installed(Package("a", "2", "all")), (), MACHINE) == ()


def test_a_reason_of_the_masters_own_is_never_shown() -> None:
    assert LocalPackage("a", "1", "all", lack="\x1b[2J").reason == LocalPackage("a", "1", "all", lack="failed").reason
