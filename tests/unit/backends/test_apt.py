"""What apt and dpkg print, as it was captured, and what is understood of it."""

from __future__ import annotations

from pathlib import Path

from hotsync.backends.packages.apt_text import (
    parse_contents,
    parse_faults,
    parse_installed,
    parse_policy,
    parse_refusal,
    parse_simulation,
    parse_unfinished,
    parse_uris,
)
from hotsync.backends.packages.units import units_in

TABLES = Path(__file__).parents[2] / "tables/apt"


def table(name: str) -> str:
    return (TABLES / f"{name}.txt").read_text()


def test_versions_that_can_be_had_come_with_the_candidate_first_and_without_what_is_only_installed() -> None:
    assert parse_policy(table("policy")) == {
        "postfix": ["3.7.11-0+deb12u1"],
        "bash": ["5.2.15-2+b13"],
        "nginx": ["1.22.1-9+deb12u3", "1.26.0-1"],
        "openssh-client": ["1:9.6p1-3ubuntu13.5"],  # an update that Ubuntu gives to some servers first
    }


def test_a_line_that_is_not_understood_gives_no_package_the_version_of_another() -> None:
    source = "        500 http://mirror.example bookworm/main amd64 Packages\n"
    text = f"a:\n     1.0 500\n{source}b:\n     2.0 500 (new words)\n{source}"
    assert parse_policy(text) == {"a": ["1.0"]}


def test_a_simulation_is_read_as_what_it_installs_upgrades_and_removes() -> None:
    found = parse_simulation(table("simulation"))
    assert found.installs == (
        ("libefivar1", "37-6"),
        ("libc6:i386", "2.36-9+deb12u13"),
        ("grub-efi-amd64", "2.06-13+deb12u2"),
    )
    assert found.upgrades == (("perl-base", "5.36.0-7+deb12u1", "5.36.0-7+deb12u3"),)
    assert found.removes == ("grub-pc", "leftover")


def test_a_refusal_is_said_in_apts_own_words() -> None:
    error = "E: Unable to correct problems, you have held broken packages.\n"
    assert parse_refusal(table("refusal"), error) == (
        "dma : Conflicts: mail-transport-agent",
        "postfix : Conflicts: mail-transport-agent",
    )
    assert parse_refusal("", "W: old\nE: Unable to locate package x\n") == ("Unable to locate package x",)
    assert parse_refusal("", "") == ("apt-get did not say why",)


def test_dpkgs_words_are_the_reasons_of_the_packages_that_it_names_and_of_no_other_one() -> None:
    said = """\
dpkg: error processing archive /var/cache/apt/archives/bad_1%3a2.0-1_amd64.deb (--unpack):
 new bad package pre-installation script subprocess returned error exit status 1
dpkg: error processing archive /tmp/apt-dpkg-install-x/07-wine_9_i386.deb (--unpack):
 trying to overwrite '/usr/bin/wine', which is also in package mine 1.0
dpkg: error processing package libbad:amd64 (--configure):
 installed libbad:amd64 package post-installation script subprocess returned error exit status 1
dpkg: dependency problems prevent configuration of needy:
 needy depends on libbad; however:
  Package libbad:amd64 is not configured yet.

dpkg: error processing package needy (--configure):
 dependency problems - leaving unconfigured
Errors were encountered while processing:
 libbad:amd64
 needy
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""
    assert parse_faults(said, "amd64") == {
        "bad": "new bad package pre-installation script subprocess returned error exit status 1",
        "wine:i386": "trying to overwrite '/usr/bin/wine', which is also in package mine 1.0",
        "libbad": "installed libbad:amd64 package post-installation script subprocess returned error exit status 1",
        "needy": "needy depends on libbad; however: Package libbad:amd64 is not configured yet.",
    }
    assert parse_faults("E: Could not get lock /var/lib/dpkg/lock-frontend\n", "amd64") == {}


def test_what_is_half_done_is_told_from_what_is_whole_gone_or_waits_for_triggers() -> None:
    states = ("installed", "config-files", "not-installed", "triggers-pending", "unpacked", "half-configured")
    lines = "".join(f"{state}\t{state}\t1\tamd64\tinstall\tno\n" for state in states)
    lines += "half-installed\twine\t1\ti386\tinstall\tno\n"
    assert parse_unfinished(lines, "amd64") == {
        "unpacked": "unpacked", "half-configured": "half-configured", "wine:i386": "half-installed",
    }  # fmt: skip


def test_only_what_is_whole_counts_as_installed() -> None:
    found = parse_installed(table("installed"))
    assert [(each.name, each.held, each.essential) for each in found] == [
        ("bash", False, True),
        ("nginx", True, False),
    ]


def test_the_units_of_a_package_file_are_found_links_and_init_scripts_too() -> None:
    assert sorted(set(units_in(parse_contents(table("contents"))))) == [
        "mysql.service",
        "postfix.service",
        "postfix@.service",
        "twin.timer",
    ]


def test_where_package_files_come_from_is_read_with_their_names_here() -> None:
    text = (
        "'http://mirror.example/pool/postfix_3.7%2bdeb12u1_amd64.deb' postfix_3.7+deb12u1_amd64.deb 15 SHA256:x\n"
        "'file:/srv/repo/a%20b_1_all.deb' a_1%3a2_all.deb 12 MD5Sum:y\n"
    )
    assert parse_uris(text) == {
        "postfix_3.7+deb12u1_amd64.deb": "http://mirror.example/pool/postfix_3.7+deb12u1_amd64.deb",
        "a_1%3a2_all.deb": "file:/srv/repo/a b_1_all.deb",
    }
