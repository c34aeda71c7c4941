"""Whether the MASTER's packages are here, in versions that fit; which updates wait."""

from __future__ import annotations

from dataclasses import replace

from hotsync.model.facts import PackageFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.checks import check_packages, check_updates, check_versions, outdated, told_here
from hotsync.model.packages.family import DEBIAN
from hotsync.model.packages.values import NotCarried, Package, Wanted
from hotsync.model.packages.wants import Machine
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome, missing_of

HINTS = Hints("repair it", "list them", "upgrade it", "install it", "reinstall it", "locales")
HERE = Machine(DEBIAN, "amd64")
FACTS = SlaveFacts(RoleRecord(Role.SLAVE), generation=1)


def verdict(here: str, there: str, name: str = "mariadb-server", not_older: tuple[str, ...] = ()) -> Verdict:
    told = told_here([PackageFact(name, there, "all"), PackageFact("bash", "9", "amd64")], HERE)
    own = {name: Package(name, here, "all"), "bash": Package("bash", "1", "amd64")}
    return check_versions(told, own, DEBIAN.order, HINTS, not_older).verdict


def test_a_database_server_of_an_older_series_is_red_and_an_older_patch_is_amber() -> None:
    assert verdict("1:10.5.23-0+deb11u1", "1:10.11.6-0+deb12u1") is Verdict.RED
    assert verdict("1:10.11.4-1", "1:10.11.6-0+deb12u1") is Verdict.AMBER
    assert verdict("1:11.4.2-1", "1:10.11.6-0+deb12u1") is Verdict.GREEN


def test_a_package_that_a_profile_names_must_not_be_older_either() -> None:
    assert verdict("6.9-1", "7.2-1", "chat-server") is Verdict.GREEN
    assert verdict("6.9-1", "7.2-1", "chat-server", ("chat-server",)) is Verdict.RED


def test_updates_that_wait_are_told_for_both_sides_with_their_names() -> None:
    master = [PackageFact("bash", "5.1", "amd64"), PackageFact("ours", "1", "all"), PackageFact("vim", "9", "amd64")]
    theirs = outdated(told_here(master, HERE), {"bash": ["5.2", "5.1"], "vim": ["9"]}, DEBIAN.order)
    assert theirs == ("bash",)
    check = check_updates(("a", "b", "c", "d", "e", "f", "g"), theirs)
    assert check.verdict is Verdict.GREEN
    assert check.detail == "7 wait here (a, b, c, d, e and 2 more); 1 waits on the MASTER (bash)"
    assert check_updates((), ()).detail == ""


def test_what_stays_older_than_on_the_master_is_amber_with_its_reason() -> None:
    facts = replace(
        FACTS,
        stays=(NotCarried("nginx", "1.0 is held on this server, the MASTER has 1.2"),),
        wanted=(Wanted("bash", "5.2", True, "5.1"), Wanted("vim", "9", True)),
    )
    missing, behind, *_ = check_packages(facts, SlaveOutcome(behind={"bash": "5.2 can be had nowhere"}), HINTS, False)
    assert missing.verdict is Verdict.GREEN
    assert behind.verdict is Verdict.AMBER
    assert behind.detail.startswith("bash (5.2 can be had nowhere); nginx (1.0 is held")


def test_into_a_broken_database_nothing_is_installed_and_the_hint_is_the_platforms_own() -> None:
    facts = replace(
        FACTS, broken="half-configured: x", wanted=(Wanted("bash", "5.2", True, "5.1"), Wanted("vim", "9", True))
    )
    missing, behind, database, lists = check_packages(facts, SlaveOutcome(lists_fault="no route"), HINTS, False)
    assert missing.detail == "vim (the package database must be repaired first)"
    assert behind.detail == "bash (the package database must be repaired first)"
    assert (database.verdict, database.hint) == (Verdict.AMBER, "repair it")
    assert "`list them`" in lists.hint


EXIM = "it would remove exim4-base; it would remove exim4-daemon-light"


def test_what_is_in_the_way_of_a_missing_package_is_said_with_the_command_that_removes_it() -> None:
    outcome = SlaveOutcome(
        missing={"postfix": EXIM, "postfix-sqlite": EXIM, "vim": "no repository of this server has it"}
    )
    missing, *_ = check_packages(FACTS, outcome, replace(HINTS, install="apt-get install"), False)
    assert missing.verdict is Verdict.AMBER
    assert missing.hint.startswith(
        "HotSync removes nothing of this server. If nobody needs exim4-base, exim4-daemon-light here: "
        "`apt-get install postfix postfix-sqlite` removes that and installs what is missing; then hotsync-slave."
    )


def test_nothing_is_suggested_that_would_remove_what_this_machine_needs() -> None:
    reason = "it would remove grub-pc (the boot loader that this machine starts with); it would remove x"
    missing, *_ = check_packages(FACTS, SlaveOutcome(missing={"grub-x": reason}), HINTS, False)
    assert missing.hint.startswith("What needs them will not run")


def test_an_application_of_which_no_package_is_here_is_red_and_one_of_which_some_are_is_amber() -> None:
    applications = {"Postfix mail server": {"postfix"}, "nginx web server": {"nginx", "nginx-core"}}
    outcome = SlaveOutcome(missing={"nginx": "nowhere"})
    missing, *_ = check_packages(FACTS, outcome, HINTS, False, applications)
    assert missing.verdict is Verdict.AMBER
    outcome.missing["postfix"] = EXIM
    missing, *_ = check_packages(FACTS, outcome, HINTS, False, applications)
    assert missing.verdict is Verdict.RED
    assert missing.detail.startswith("without its packages here: Postfix mail server; nginx (nowhere)")
    missing, *_ = check_packages(FACTS, outcome, HINTS, True, applications)
    assert missing.verdict is Verdict.AMBER, "a run that installs nothing says nothing of what could not be installed"


def test_an_application_that_is_missing_is_red_also_where_the_package_database_is_broken() -> None:
    facts = replace(FACTS, broken="half-configured: x", wanted=(Wanted("postfix", "3", True), Wanted("vim", "9", True)))
    applications = {"Postfix mail server": {"postfix"}}
    missing, _, database, _ = check_packages(facts, SlaveOutcome(), HINTS, False, applications)
    assert (missing.verdict, database.verdict) == (Verdict.RED, Verdict.AMBER)
    assert missing.detail.startswith("without its packages here: Postfix mail server; postfix (the package database")
    assert set(missing_of(facts, SlaveOutcome())) == {"postfix", "vim"}, "they are listed, too"


def test_what_our_own_install_left_half_done_is_said_with_its_own_reason() -> None:
    facts = replace(FACTS, broken="half-configured: x", install_cut=True, wanted=(Wanted("x", "1", True),))
    outcome = SlaveOutcome(missing={"x": "its script failed"}, broken="half-configured: x")
    missing, _, database, _ = check_packages(facts, outcome, HINTS, False)
    assert missing.detail == "x (its script failed)"
    assert database.detail == "half-configured: x"
