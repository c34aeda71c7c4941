"""Which of the MASTER's packages the SLAVE gets or updates, and whose marks it takes."""

from __future__ import annotations

import pytest

from hotsync.model.facts import PackageFact
from hotsync.model.packages.family import DEBIAN, RPM, family_of
from hotsync.model.packages.values import Package, Wanted
from hotsync.model.packages.wants import Machine, Marks, differences, marks, new_architectures

HERE = Machine(DEBIAN, "amd64")


def fact(
    name: str, version: str = "1.0", architecture: str = "amd64", *, manual: bool = True, held: bool = False
) -> PackageFact:
    return PackageFact(name, version, architecture, manual, held)


def package(name: str, version: str = "1.0", *, manual: bool = True, held: bool = False) -> Package:
    return Package(name, version, "amd64", manual, held)


def test_what_is_here_as_new_or_newer_is_not_wanted_and_what_is_older_is() -> None:
    here = {each.name: each for each in (package("a", "1"), package("b", "2"), package("c", "3"))}
    found = differences([fact("a", "2"), fact("b", "2"), fact("c", "2")], here, HERE)
    assert found.wanted == (Wanted("a", "2", True, "1"),)
    assert (found.not_carried, found.stays) == ((), ())


def test_what_this_server_holds_stays_and_is_told_and_what_it_holds_for_the_master_follows() -> None:
    here = {each.name: each for each in (package("a", "1", held=True), package("b", "1", held=True))}
    found = differences([fact("a", "2"), fact("b", "2", held=True)], here, HERE, {"b"})
    assert [each.name for each in found.wanted] == ["b"]
    assert [(each.name, each.reason) for each in found.stays] == [
        ("a", "1 is held on this server, the MASTER has 2"),
    ]


def test_this_hosts_own_packages_are_never_carried_nor_updated_and_the_reason_is_told() -> None:
    names = ["linux-image-6.1.0-18-amd64", "grub-efi-amd64", "hotsync", "qemu-guest-agent", "firmware-linux-free"]
    found = differences([fact(name, "2") for name in names], {}, HERE)
    assert found.wanted == ()
    assert {each.name for each in found.not_carried} == set(names)
    assert all("this host's own" in each.reason for each in found.not_carried)
    assert differences([fact("hotsync", "2")], {"hotsync": package("hotsync")}, HERE).wanted == ()


@pytest.mark.parametrize("name", ["-o", "--force-yes", "a b", "x=1", "../x", "A", "", "a\n", "postfix/stable", "x*"])
def test_a_name_that_is_no_package_name_never_reaches_a_command_line(name: str) -> None:
    found = differences([fact(name)], {}, HERE)
    assert found.wanted == ()
    assert len(found.not_carried) == 1


@pytest.mark.parametrize("name", ["-x", "@group", "/bin/sh", "a b", "a*", "a:b", "", "x\n", "a(b)"])
def test_nor_does_one_of_the_other_family(name: str) -> None:
    assert differences([fact(name, "1-1", "x86_64")], {}, Machine(RPM, "x86_64")).wanted == ()


@pytest.mark.parametrize("version", ["", "-1", "1 2", "1;x", "$(x)", "1\n"])
def test_a_version_that_is_none_is_refused_with_its_package(version: str) -> None:
    assert differences([fact("good", version)], {}, HERE).wanted == ()


def test_packages_of_an_architecture_that_runs_here_come_and_others_do_not() -> None:
    told = [fact("libc6", architecture="i386"), fact("libc6"), fact("zipl-tool", architecture="s390x")]
    found = differences(told, {}, HERE)
    assert [each.name for each in found.wanted] == ["libc6", "libc6:i386"]
    assert [(each.name, each.reason) for each in found.not_carried] == [
        ("zipl-tool", "this server does not run s390x packages")
    ]
    assert new_architectures(found.wanted, HERE) == ("i386",)
    assert new_architectures(found.wanted, Machine(DEBIAN, "amd64", ("i386",))) == ()


def test_marks_and_holds_are_the_masters_but_what_a_person_wanted_or_held_here_stays() -> None:
    master = [
        fact("wanted"), fact("brought", manual=False), fact("mine", manual=False), fact("held", held=True),
        fact("freed"), fact("ours"),
    ]  # fmt: skip
    here = {
        each.name: each
        for each in (
            package("wanted", manual=False), package("brought"), package("mine"), package("held"),
            package("freed", held=True), package("ours", held=True),
        )
    }  # fmt: skip
    found = marks(master, here, HERE, {"brought"}, {"freed"})
    assert found == Marks(("wanted",), ("brought",), ("held",), ("freed",))
    assert found
    assert not marks([fact("held")], {"held": package("held")}, HERE, (), ())


def test_the_marks_of_this_hosts_own_packages_are_its_own() -> None:
    assert not marks([fact("grub-pc", held=True)], {"grub-pc": package("grub-pc", manual=False)}, HERE, (), ())


def test_a_family_is_told_by_what_fits_every_processor() -> None:
    assert family_of([fact("a"), fact("tzdata", architecture="all")]) is DEBIAN
    assert family_of([fact("a", architecture="x86_64"), fact("tzdata", architecture="noarch")]) is RPM
    assert family_of([]) is None
