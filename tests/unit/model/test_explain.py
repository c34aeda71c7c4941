"""What `hotsync explain` answers is what a run would do, and names every rule that had a say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.coverage.not_data import NOT_DATA, with_not_data
from hotsync.model.explain import (
    Fate,
    Mounted,
    UnitFacts,
    datasets_for,
    explain_path,
    explain_unit,
)
from hotsync.model.mail_queue import QUEUES
from hotsync.model.selection import Action, Rule, Selection, Voice, rank_of

BASE = Rule("/srv", Action.INCLUDE, "profile base", Voice.PROFILE)
OUT = Rule("/srv/cache", Action.EXCLUDE, "/etc/backup-data.d/a.exclude:1")
OWN = Rule("/srv/own", Action.PROTECT, "profile base", Voice.PROFILE)
SELECTION = Selection([BASE, OUT, OWN])
DISKS = Mounted({"": "ext4"})

_rules = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["/a", "/a/b", "/a/*", "/**/c", "/b", "/a/b/c"]),
        st.sampled_from(Action),
        st.sampled_from(["x", "y"]),
        st.sampled_from(Voice),
    ),
    max_size=6,
)


@given(_rules, st.sampled_from(["a", "a/b", "a/b/c", "b/c", "d"]))
def test_the_rule_that_is_named_is_the_one_that_decides_and_all_others_that_match_are_beaten(
    rules: list[Rule], path: str
) -> None:
    selection = Selection(rules)
    answer = explain_path(selection, path, DISKS)
    assert (answer.fate is Fate.CARRIED) == (selection.decide(path).action is Action.INCLUDE)
    decided = selection.decide(path).rule
    assert (answer.rule is None) == (decided is None)
    if answer.rule is not None and decided is not None:  # of two that weigh the same either may be named
        assert (rank_of(answer.rule), answer.rule.action) == (rank_of(decided), decided.action)
    assert set(answer.beaten) == set(selection.matching(path)) - {answer.rule}


def test_each_action_has_its_fate_and_what_no_rule_names_is_unknown() -> None:
    fates = {path: explain_path(SELECTION, path, DISKS).fate for path in ("srv/x", "srv/cache/x", "srv/own", "data")}
    assert list(fates.values()) == [Fate.CARRIED, Fate.ABSENT, Fate.OWN, Fate.UNKNOWN]
    assert explain_path(SELECTION, "srv/cache/x", DISKS).beaten == (BASE,)
    assert explain_path(SELECTION, "srv", DISKS).inside == (OUT, OWN)


def test_a_mounted_file_system_that_no_rule_names_keeps_out_what_is_said_above_it() -> None:
    shares = Mounted({"": "ext4", "srv/share": "nfs4", "srv/disk": "xfs"}, {"srv/disk"})
    assert explain_path(SELECTION, "srv/disk/x", shares).fate is Fate.CARRIED
    answer = explain_path(SELECTION, "srv/share/x", shares)
    assert (answer.fate, answer.barred_by) == (Fate.UNKNOWN, "/srv/share")
    named = Selection([*SELECTION.rules, Rule("/srv/share", Action.INCLUDE, "list")])
    assert explain_path(named, "srv/share/x", shares).fate is Fate.CARRIED


def test_what_is_no_data_on_any_server_is_said_with_its_reason_and_only_where_no_rule_speaks() -> None:
    assert explain_path(SELECTION, "var/log/syslog", DISKS).no_data == "logs: they tell of this machine"
    wanted = Selection([Rule("/var/log", Action.INCLUDE, "list")])
    answer = explain_path(wanted, "var/log/syslog", DISKS)
    assert (answer.fate, answer.no_data) == (Fate.CARRIED, "")


def test_the_list_of_what_is_no_data_beats_nobody() -> None:
    patterns = [pattern for pattern, _ in NOT_DATA]
    assert len(set(patterns)) == len(patterns)
    assert all(reason for _, reason in NOT_DATA)
    for voice in (Voice.PROFILE, Voice.SITE):
        selection = with_not_data(Selection([Rule("/var/log", Action.INCLUDE, "x", voice)]))
        assert selection.decide("var/log/x").action is Action.INCLUDE


def test_a_rule_that_keeps_a_servers_files_leads_to_its_dumps() -> None:
    points = ["mariadb/b", "mariadb/default", "postgresql/15-main/shop", "postgresql/15-main"]
    files = Rule("/data/pg", Action.PROTECT, "files of postgresql/15-main", Voice.PROFILE)
    assert datasets_for(files, {}, points) == ("postgresql/15-main", "postgresql/15-main/shop")
    assert datasets_for(files, {}, []) == ("postgresql/15-main",)
    profile = Rule("/var/lib/mysql", Action.PROTECT, "profile mariadb", Voice.PROFILE)
    assert datasets_for(profile, {"profile mariadb": {"mariadb"}}, points) == ("mariadb/b", "mariadb/default")
    assert datasets_for(BASE, {"profile base": {"mariadb"}}, points) == ()


MARIADB = UnitFacts("mariadb.service", profiles=(("mariadb", "mute"), ("mariadb", "start")), on_master=True)


def test_a_unit_of_production_is_held_by_its_profile_and_started_in_a_promotion() -> None:
    answer = explain_unit(MARIADB)
    assert answer.waiting == "held on the SLAVE, by profile mariadb"
    assert answer.promotion == "started, since it runs on the MASTER, in the order of profile mariadb"
    assert explain_unit(replace(MARIADB, on_master=False)).promotion.startswith("not started")


def test_a_unit_of_the_machine_runs_on_and_a_promotion_leaves_it_alone() -> None:
    answer = explain_unit(UnitFacts("systemd-logind.service", on_master=True))
    assert answer.waiting.startswith("runs on the SLAVE, too")
    assert answer.promotion.startswith("left as the SLAVE runs it")


def test_a_unit_that_an_administrator_wrote_is_production_whatever_it_is_called() -> None:
    answer = explain_unit(UnitFacts("zfs-autobackup.timer", on_master=True, handmade=True))
    assert answer.waiting == "held on the SLAVE, since it runs on the MASTER"
    assert answer.promotion == "started, since it runs on the MASTER"


def test_a_unit_that_no_profile_knows_is_held_if_the_master_runs_it_and_a_watcher_is_not() -> None:
    assert explain_unit(UnitFacts("ledger.service", on_master=True)).waiting.startswith("held on the SLAVE, since it")
    assert explain_unit(UnitFacts("snmpd.service", on_master=True)).waiting.startswith("may run on the SLAVE")
    kept = UnitFacts("unbound.service", muted=set(), kept="a profile of this server keeps it")
    assert explain_unit(kept).waiting == "not held: a profile of this server keeps it"


def test_on_a_slave_the_mute_itself_is_asked_also_for_an_instance() -> None:
    postfix = UnitFacts("postfix@-.service", on_master=True, muted={"postfix@.service"})
    assert explain_unit(postfix).waiting.startswith("held: ")
    assert explain_unit(replace(postfix, muted=set())).waiting.startswith("not held")
    assert explain_unit(replace(postfix, on_master=None)).promotion.startswith("not known")


def test_a_mail_servers_queue_is_said_to_be_one_wherever_a_distribution_has_it() -> None:
    empty = Selection(())
    lying = [f"{queue.root}/{name}".replace("*", "x") for queue in QUEUES for name in (*queue.folders, *queue.own)]
    assert [path for path in lying if not explain_path(empty, path.rstrip("/"), DISKS).no_data] == []
