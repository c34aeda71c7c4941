"""What a waiting SLAVE needs, in which order, and where hotsync-slave has no business."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import NotReady, Refused, WrongRole
from hotsync.model.accounts.moves import Account, NumberPlan
from hotsync.model.facts import StreamFact
from hotsync.model.generation import DatasetPoint
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.checks import check_packages
from hotsync.model.packages.values import NotCarried, Wanted
from hotsync.model.packages.wants import Marks
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.model.slave_checks import (
    check_fits,
    check_forms,
    check_fresh,
    check_loads,
    check_locales,
    check_room,
    check_standbys,
)
from hotsync.model.standby import StandbyFacts
from hotsync.model.warm import WarmLoad
from hotsync.planning.slave import check_family, check_may_run, plan_slave

HINTS = Hints("repair", "lists", "upgrade", "install", "reinstall", "locales")
FACTS = SlaveFacts(
    RoleRecord(Role.SLAVE, epoch=2),
    generation=5,
    to_mute=("mail.service",),
    running=("cron.service",),
    numbers=NumberPlan(new_users=(Account("mysql", 110, 110),)),
    wanted=(Wanted("mail", "1.0", True),),
)


def keys(facts: SlaveFacts, *, only_permissions: bool = False) -> list[str]:
    return [step.key for step in plan_slave(facts, only_permissions=only_permissions)]


def test_first_it_is_quiet_then_the_accounts_have_their_numbers_and_only_then_packages_come() -> None:
    assert keys(FACTS) == ["slave.mute", "accounts.numbers", "packages.install", "packages.marks"]
    assert "cron.service, mail.service" in plan_slave(FACTS)[0].title


def test_what_this_server_keeps_is_let_go_before_anything_else() -> None:
    plan = plan_slave(replace(FACTS, to_free=("unbound.service",)))
    assert [step.key for step in plan][:2] == ["slave.free", "slave.mute"]
    assert "unbound.service" in plan[0].title


def test_nothing_is_planned_where_nothing_is_needed() -> None:
    assert keys(SlaveFacts(RoleRecord(Role.SLAVE), generation=1)) == []


def test_what_is_held_and_systemd_has_not_read_yet_is_read_though_nothing_else_is_needed() -> None:
    plan = plan_slave(SlaveFacts(RoleRecord(Role.SLAVE), generation=1, mute_unread=True))
    assert [step.key for step in plan] == ["slave.mute"]
    assert plan[0].title.endswith("what is held, which systemd has not read")


def test_databases_are_loaded_beforehand_once_their_servers_are_here() -> None:
    small = WarmLoad("mariadb", "default", Path("/var/lib/mysql"), 3 * 2**20)
    large = replace(small, instance="large", hindrance="its dumps are larger than WarmGigabytes (500)")
    facts = replace(FACTS, loads=(small, large))
    assert keys(facts)[-2:] == ["databases.beforehand:mariadb/default", "databases.beforehand:mariadb/large"]
    assert "packages.install" in keys(facts), "what hinders a load may be a server that is not installed yet"
    loads = [step for step in plan_slave(replace(facts, wanted=())) if step.key.startswith("databases")]
    assert [step.title for step in loads] == ["load the databases of mariadb/default beforehand (3 MiB of dumps)"]
    assert "databases.beforehand:mariadb/default" not in keys(facts, only_permissions=True)


def test_what_is_not_loaded_beforehand_is_said_and_only_a_failure_is_amber() -> None:
    good = check_loads({}, {}, {"mariadb/large": "its dumps are larger than WarmGigabytes (1)"})
    assert (good.verdict, good.detail) == (
        Verdict.GREEN, "left to the promotion: mariadb/large (its dumps are larger than WarmGigabytes (1))",
    )  # fmt: skip
    bad = check_loads({}, {"mariadb/default": "accounts.sql is not what was collected"}, {})
    assert (bad.verdict, bad.detail) == (Verdict.AMBER, "mariadb/default: accounts.sql is not what was collected")
    assert "promotion loads them" in bad.hint


def test_a_dump_that_no_promotion_could_load_is_red() -> None:
    found = check_loads({"mariadb/default": "database shop: ERROR 4025"}, {"postgresql/15-main": "no room"}, {})
    assert found.verdict is Verdict.RED
    assert found.detail == (
        "mariadb/default: database shop: ERROR 4025; a promotion would stop there; postgresql/15-main: no room"
    )


def test_a_cluster_of_another_form_is_told_and_none_is_no_check() -> None:
    assert list(check_forms({})) == []
    (found,) = check_forms({"postgresql/15-main": "data_checksums is off here and on on the MASTER"})
    assert (found.verdict, found.detail) == (
        Verdict.AMBER, "postgresql/15-main: data_checksums is off here and on on the MASTER",
    )  # fmt: skip
    assert "it is then made as the MASTER's" in found.hint


def test_fixperm_looks_after_accounts_and_mute_only() -> None:
    assert keys(FACTS, only_permissions=True) == ["slave.mute", "accounts.numbers"]


def test_a_move_of_accounts_that_was_cut_is_finished() -> None:
    assert keys(SlaveFacts(RoleRecord(Role.SLAVE), generation=1, move_cut=True)) == ["accounts.numbers"]


def test_streams_of_modules_are_set_before_anything_is_installed_and_what_cannot_be_is_missing() -> None:
    stays = NotCarried("module php:8.1", "this server's own php-fpm came with php:8.2")
    facts = replace(FACTS, streams=(StreamFact("postgresql", "15"), StreamFact("redis")), streams_stay=(stays,))
    assert keys(facts)[-3:] == ["packages.streams", "packages.install", "packages.marks"]
    assert "postgresql:15, redis (switched off)" in next(
        step.title for step in plan_slave(facts) if step.key == "packages.streams"
    )
    assert "packages.streams" not in keys(facts, only_permissions=True)
    missing, *_ = check_packages(facts, SlaveOutcome(missing={"mail": "nowhere"}), HINTS, only_permissions=False)
    assert missing.detail == f"mail (nowhere); module php:8.1 ({stays.reason})"
    missing, *_ = check_packages(replace(facts, broken="half"), SlaveOutcome(), HINTS, only_permissions=False)
    assert "module postgresql:15 (the package database must be repaired first)" in missing.detail


def test_nothing_is_installed_into_a_broken_package_database() -> None:
    facts = replace(FACTS, broken="half-configured: bash")
    assert "packages.install" not in keys(facts)
    missing, _, database, _ = check_packages(facts, SlaveOutcome(), HINTS, only_permissions=False)
    assert (missing.verdict, database.verdict) == (Verdict.AMBER, Verdict.AMBER)
    assert "repaired first" in missing.detail


def test_an_install_of_ours_that_was_cut_is_finished_and_what_lacks_installed() -> None:
    facts = replace(FACTS, broken="unpacked, not yet configured: mail", install_cut=True)
    assert keys(facts)[-3:] == ["packages.finish", "packages.install", "packages.marks"]
    assert keys(replace(facts, broken=""))[-2] == "packages.install", "it had been finished by hand"
    assert "packages.finish" not in keys(facts, only_permissions=True)
    missing, _, database, _ = check_packages(facts, SlaveOutcome(broken=""), HINTS, only_permissions=False)
    assert (missing.verdict, database.verdict) == (Verdict.GREEN, Verdict.GREEN)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        (replace(FACTS, role=RoleRecord(Role.MASTER)), WrongRole),
        (replace(FACTS, role=RoleRecord()), WrongRole),
        (replace(FACTS, role=RoleRecord(Role.SLAVE, epoch=2, claim=3)), Refused),
        (replace(FACTS, generation=0), NotReady),
    ],
)
def test_it_is_refused_where_it_has_no_business(facts: SlaveFacts, error: type[Refused]) -> None:
    with pytest.raises(error) as raised:
        check_may_run(facts)
    assert raised.value.hint


def test_a_master_of_another_family_is_refused_in_one_sentence() -> None:
    check_family(FACTS)
    with pytest.raises(Refused) as raised:
        check_family(
            replace(FACTS, other_family="the MASTER's packages are Red Hat's (RPM), this server's are Debian's")
        )
    assert "RPM" in raised.value.sentence
    assert "same distribution" in raised.value.hint


def test_architectures_come_before_packages_and_marks_after_them() -> None:
    facts = replace(
        FACTS, architectures=("i386",), wanted=(Wanted("wine:i386", "1", True), Wanted("a", "2", True, "1"))
    )
    assert keys(facts)[-3:] == ["packages.architectures", "packages.install", "packages.marks"]
    assert plan_slave(facts)[-2].title == "install 1 packages of the MASTER, update 1 packages to the MASTER's versions"
    assert keys(replace(facts, wanted=(), architectures=(), marks=Marks(hold=("a",))))[-1] == "packages.marks"
    assert not any(key.startswith("packages") for key in keys(facts, only_permissions=True))


def test_locales_are_made_after_the_packages_that_bring_what_they_are_made_of() -> None:
    facts = replace(FACTS, locales=("it_IT.UTF-8",))
    assert keys(facts)[-2:] == ["packages.marks", "packages.locales"]
    assert "packages.locales" not in keys(facts, only_permissions=True)
    assert check_locales({"xx_XX": "unknown"}, HINTS).hint.startswith("install locales, then")
    assert check_locales({"xx_XX": "unknown"}, HINTS).verdict is Verdict.AMBER


def test_a_database_that_is_an_older_copy_shows_until_it_is_a_fresh_one() -> None:
    fresh, old = DatasetPoint("mariadb/default/shop", 9.0), DatasetPoint("mariadb/default/shop", 5.0, 5.0, "crashed")
    assert check_fresh([fresh]).verdict is Verdict.GREEN
    amber = check_fresh([fresh, old, DatasetPoint("sqlite:/b", 0.0, 5.0, "damaged")])
    assert amber.verdict is Verdict.AMBER
    assert amber.detail == "mariadb/default/shop is an older copy: crashed; sqlite:/b has no sound copy yet: damaged"


def test_little_room_is_said_before_there_is_none() -> None:
    assert [check_room(100, free).verdict for free in (50, 9, 1)] == [Verdict.GREEN, Verdict.AMBER, Verdict.RED]


def test_a_generation_that_did_not_fit_shows_until_it_does() -> None:
    assert check_fits(0, 0, 0).verdict is Verdict.GREEN
    red, amber = check_fits(43, 12 * 2**30, 4 * 2**30), check_fits(43, 12 * 2**30, 13 * 2**30)
    assert (red.verdict, amber.verdict) == (Verdict.RED, Verdict.AMBER)
    assert red.detail == "generation 43 was refused: 12.0 GiB needed, 4.0 GiB are free now"
    assert "Run hotsync on the MASTER" in amber.hint


@pytest.mark.parametrize(
    ("standby", "to_do", "trouble"),
    [
        (StandbyFacts("postgresql/15-main", True, True), "", ""),
        (StandbyFacts("postgresql/15-main", False, True), "", ""),
        (
            StandbyFacts("postgresql/15-main", True, False, "there is no copy yet"),
            "copy postgresql/15-main from the MASTER: there is no copy yet",
            "postgresql/15-main: there is no copy yet",
        ),
        (StandbyFacts("postgresql/15-main", False, True, "it was lost"), "", "postgresql/15-main: it was lost"),
        (
            StandbyFacts("postgresql/15-main", True, False),
            "start the standby of postgresql/15-main",
            "the standby of postgresql/15-main does not run",
        ),
        (
            StandbyFacts("postgresql/15-main", True, False, hindrance="it has tablespaces (fast)"),
            "",
            "postgresql/15-main is not streamed: it has tablespaces (fast)",
        ),
        (
            StandbyFacts("postgresql/15-main", False, True, over="the MASTER streams it no more"),
            "give up the copy of postgresql/15-main: the MASTER streams it no more",
            "postgresql/15-main is not streamed: the MASTER streams it no more",
        ),
    ],
)
def test_a_streamed_cluster_is_copied_started_or_given_up(standby: StandbyFacts, to_do: str, trouble: str) -> None:
    assert (standby.to_do, standby.trouble) == (to_do, trouble)
    facts = replace(FACTS, standbys=(standby,))
    planned = [step for step in plan_slave(facts) if step.key == "databases.standby:postgresql/15-main"]
    assert [step.title for step in planned] == ([to_do] if to_do else [])
    assert "databases.standby:postgresql/15-main" not in keys(facts, only_permissions=True)
    check = next(iter(check_standbys({}, (standby,))))
    assert (check.verdict, check.detail) == (
        (Verdict.AMBER, trouble) if trouble else (Verdict.GREEN, "postgresql/15-main")
    )


def test_no_dump_is_loaded_where_a_copy_is_about_to_lie() -> None:
    load = WarmLoad("postgresql", "15-main", Path("/var/lib/postgresql/15/main"))
    facts = replace(
        FACTS, loads=(load,), standbys=(StandbyFacts("postgresql/15-main", True, False, "there is no copy yet"),)
    )
    assert keys(facts)[-1] == "databases.standby:postgresql/15-main"
    unfit = replace(facts, standbys=(StandbyFacts("postgresql/15-main", True, False, hindrance="it has tablespaces"),))
    assert keys(unfit)[-1] == "databases.beforehand:postgresql/15-main"


def test_what_failed_is_said_once_and_nothing_is_said_where_nothing_is_streamed() -> None:
    assert list(check_standbys({}, ())) == []
    failed = {"postgresql/15-main": "the disk is full"}
    check = next(
        iter(check_standbys(failed, (StandbyFacts("postgresql/15-main", True, False, "there is no copy yet"),)))
    )
    assert (check.verdict, check.detail) == (Verdict.AMBER, "postgresql/15-main: the disk is full")
