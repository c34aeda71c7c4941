"""Who may be promoted: every refusal with its code and a thing to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.config.schema import Fault
from hotsync.errors import ExitCode, HotSyncError, NotReady, PeerStillAlive, WrongRole
from hotsync.model.disk_tables import DisksFound, Named
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkChoice
from hotsync.model.report import Verdict
from hotsync.planning.preflight import NetworkFound, PreflightFacts, check_all, refuse

READY = PreflightFacts(RoleRecord(Role.SLAVE, 1), generation=7, slave_ran=True)


def test_facts_that_cannot_be_read_are_amber_and_databases_that_cannot_be_are_red() -> None:
    facts = PreflightFacts(RoleRecord(Role.SLAVE), 1, slave_ran=True, facts_fault="units.json is damaged")
    check = next(check for check in check_all(facts) if check.name == "facts.told")
    assert (check.verdict, check.detail) == (Verdict.AMBER, "units.json is damaged")
    refuse(facts, force=False)
    with pytest.raises(NotReady, match="dump is damaged"):
        refuse(replace(facts, dumps_fault="the dump is damaged"), force=False)


def test_a_slave_that_is_ready_is_not_refused() -> None:
    refuse(READY, force=False)
    assert all(check.verdict is Verdict.GREEN for check in check_all(READY))


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        (replace(READY, role=RoleRecord(Role.MASTER, 1)), WrongRole, "MASTER already"),
        (replace(READY, role=RoleRecord()), WrongRole, "not configured"),
        (replace(READY, generation=0), NotReady, "no generation"),
        (replace(READY, slave_ran=False), NotReady, "hotsync-slave has not run"),
        (replace(READY, signs_of_life=("10.77.0.1 answers ping",)), PeerStillAlive, "answers ping"),
        (replace(READY, planned=True, handover_fault="it does not answer"), NotReady, "does not answer"),
        (replace(READY, blocked=("srv",)), NotReady, "srv"),
        (replace(READY, etc_mounts=("/etc/resolv.conf",)), NotReady, "/etc/resolv.conf"),
        (replace(READY, immutable=("/home",)), NotReady, "/home"),
        (replace(READY, network=NetworkFound(fault="line 3", known=False)), NotReady, "line 3"),
        (replace(READY, etc_missing=True), NotReady, "no /etc"),
        (replace(READY, room_missing="/srv lacks 5 GiB"), NotReady, "5 GiB"),
        (replace(READY, network=NetworkFound(missing=("eth7",))), NotReady, "eth7"),
        (replace(READY, network=NetworkFound(missing=("eth8",), proposal="--map a=b")), NotReady, "eth8"),
        (replace(READY, dumps_fault="cannot be read"), NotReady, "cannot be read"),
        (replace(READY, servers_lacking=("mariadb/default: none here",)), NotReady, "none here"),
        (replace(READY, locales_lacking=("it_IT.UTF-8",)), NotReady, "it_IT"),
        (replace(READY, extensions_lacking=("postgis (postgresql/15-main/d)",)), NotReady, "postgis"),
        (replace(READY, libraries_lacking=("/x/auth_ed25519.so (mariadb/default)",)), NotReady, "ed25519"),
    ],
)
def test_every_reason_refuses_with_exit_3_and_a_hint(
    facts: PreflightFacts, error: type[HotSyncError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        refuse(facts, force=False)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert caught.value.hint


def test_force_overrules_a_living_master_and_nothing_else() -> None:
    alive = replace(READY, signs_of_life=("it answers",))
    refuse(alive, force=True)
    assert [check.name for check in check_all(alive) if check.verdict is Verdict.RED] == ["master.silent"]
    with pytest.raises(NotReady):
        refuse(replace(alive, generation=0), force=True)


def test_without_a_fixed_address_of_its_own_it_is_promoted_but_roles_are_not_exchanged() -> None:
    facts = replace(READY, network=NetworkFound(standby_lacking="its own (10.77.0.9) was lent by DHCP"))
    refuse(facts, force=False)
    (check,) = (check for check in check_all(facts) if check.verdict is not Verdict.GREEN)
    assert (check.name, check.verdict) == ("network.standby", Verdict.AMBER)
    assert "Give the SLAVE a fixed address" in check.hint
    for force in (False, True):
        with pytest.raises(NotReady, match="was lent by DHCP"):
            refuse(replace(facts, planned=True), force=force)


def test_a_network_that_is_kept_asks_nothing_of_the_masters() -> None:
    refuse(replace(READY, network=NetworkFound(NetworkChoice.KEEP, "odd", missing=("x",))), force=False)


def test_old_data_copies_and_dhcp_are_told_and_do_not_refuse() -> None:
    facts = replace(READY, data_age=7200, copied=tuple(f"/srv/{n}" for n in range(9)), packages_missing=("x",))
    found = NetworkFound(fault="line 3", dhcp=("eth0",), leases=("192.0.2.7/24 of eth1",), stale="eth9 is no card")
    facts = replace(facts, network=found, nodes_differing=("ejabberd/ejabberd: a, b",))
    facts = replace(facts, servers_newer=("postgresql/15-main: into PostgreSQL 17",))
    refuse(facts, force=False)
    amber = {check.name: check for check in check_all(facts) if check.verdict is Verdict.AMBER}
    told = {"data.age", "data.copied", "data.nodes", "data.versions", "network.dhcp", "network.read"}
    told |= {"network.mapping"}
    assert set(amber) == {*told, "packages.missing"}
    assert "120 minutes" in amber["data.age"].detail
    assert "and 4 more" in amber["data.copied"].detail


def test_cards_that_nobody_mapped_are_told_to_a_waiting_slave_with_the_command_that_confirms_them() -> None:
    found = NetworkFound(missing=("eth0",), proposal="--map eth0=enp3s0", asked=False)
    (check,) = (check for check in check_all(replace(READY, network=found)) if check.name == "network.cards")
    assert check.verdict is Verdict.AMBER
    assert "hotsync-slave --map eth0=enp3s0" in check.hint
    (check,) = (
        check
        for check in check_all(replace(READY, network=replace(found, asked=True)))
        if check.name == "network.cards"
    )
    assert check.verdict is Verdict.RED
    assert "hotsync-promote --map eth0=enp3s0" in check.hint


def test_cards_on_other_wires_than_their_names_say_are_told_with_both_ways_to_confirm_and_refuse_nothing() -> None:
    swap, same = "--map eth0=eth1 --map eth1=eth0", "--map eth0=eth0 --map eth1=eth1"
    found = NetworkFound(crossed=("the MASTER's eth0 seems to be eth1 here: x",), proposal=swap, same=same)
    for asked, command in ((True, "hotsync-promote"), (False, "hotsync-slave")):
        facts = replace(READY, network=replace(found, asked=asked))
        refuse(facts, force=False)
        (check,) = (check for check in check_all(facts) if check.name == "network.cards")
        assert check.verdict is Verdict.AMBER
        assert "the MASTER's eth0 seems to be eth1 here" in check.detail
        assert f"{command} {swap};" in check.hint
        assert same in check.hint


def test_what_was_lent_is_said_with_a_thing_to_do() -> None:
    found = NetworkFound(leases=("192.0.2.7/24 of eth1",))
    (check,) = (check for check in check_all(replace(READY, network=found)) if check.name == "network.dhcp")
    assert check.detail == "lent by DHCP, and taken as fixed: 192.0.2.7/24 of eth1"
    assert "Reserve" in check.hint


PROBE = Fault("hotsync", "NetworkProbe", "`router` is no IPv4 or IPv6 address", "Set it: config setprop ...")
OTHER = Fault("hotsync", "InternetProbe", "`x` is not HOST:PORT", "Set it: config setprop ...")


def test_a_setting_that_decides_about_the_new_network_must_be_right_before_anything_is_changed() -> None:
    facts = replace(READY, wrong_settings=(OTHER, PROBE))
    with pytest.raises(NotReady, match="NetworkProbe: `router` is no") as caught:
        refuse(facts, force=True)
    assert caught.value.hint == PROBE.hint
    kept = replace(facts, network=NetworkFound(NetworkChoice.KEEP))
    refuse(kept, force=False)
    amber = {check.name: check.detail for check in check_all(kept) if check.verdict is Verdict.AMBER}
    assert amber == {"settings.allowed": "InternetProbe: `x` is not HOST:PORT; NetworkProbe: " + PROBE.sentence}


def test_another_wrong_setting_is_told_and_stops_no_promotion() -> None:
    facts = replace(READY, wrong_settings=(OTHER,))
    refuse(facts, force=False)
    assert [check.name for check in check_all(facts) if check.verdict is not Verdict.GREEN] == ["settings.allowed"]


def test_what_this_servers_disks_need_is_named_and_refuses_nothing() -> None:
    key, image = Named("/root/x.key", "/etc/crypttab", of_disk=True), Named("/srv/x.img", "/etc/fstab")

    def disks(found: DisksFound) -> tuple[Verdict, str]:
        facts = replace(READY, disks=found)
        refuse(facts, force=False)
        check = next(check for check in check_all(facts) if check.name == "data.disks")
        return check.verdict, check.detail

    assert disks(DisksFound((key,))) == (Verdict.GREEN, "stays: /root/x.key (/etc/crypttab)")
    verdict, detail = disks(DisksFound((key,), differing=(key,)))
    assert (verdict, detail.partition(":")[0]) == (Verdict.AMBER, "stays, though the MASTER has another one there")
    verdict, detail = disks(DisksFound((key,), gone=(image,)))
    assert verdict is Verdict.AMBER
    assert "would miss it: /srv/x.img (/etc/fstab)" in detail
