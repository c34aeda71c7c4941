"""How a SLAVE differs: what a promotion does not put right matters, the rest does not, each with the reason."""

from __future__ import annotations

import pytest

from hotsync.model.drift import Difference, Ground, Topic, check_drift, drift, not_compared
from hotsync.model.facts import (
    AccountFact,
    GroupFact,
    GuardFacts,
    GuardRuleFact,
    LimitFact,
    MasterFacts,
    MountFact,
    PackageFact,
    QuotaFact,
    ShareFact,
    StreamFact,
    SysctlFact,
    SystemFacts,
    UnitFact,
)
from hotsync.model.report import Verdict

GROUND = Ground(units={"here.service", "app@.service"}, modules={"nf_tables", "nft_ct"}, zones={"Europe/Rome"})
NOTHING = MasterFacts()
BY_UNIT = ShareFact("/srv/x", "nas:/x", "nfs4", "/etc/systemd/system/srv-x.mount")


def packages(**versions: str) -> MasterFacts:
    return MasterFacts(
        packages=tuple(PackageFact(name.replace("_", "-"), version, "amd64") for name, version in versions.items())
    )


def settings(*sysctl: SysctlFact, units: tuple[UnitFact, ...] = ()) -> MasterFacts:
    return MasterFacts(units=units, system=SystemFacts(sysctl=sysctl))


def unit(name: str, enabled: str = "enabled", *, active: bool = True) -> MasterFacts:
    return MasterFacts(units=(UnitFact(name, enabled, active),))


def one(master: MasterFacts, slave: MasterFacts = NOTHING) -> Difference:
    (found,) = drift(master, slave, GROUND)
    return found


@pytest.mark.parametrize(
    ("master", "slave", "topic", "word"),
    [
        (packages(a="1", b="1"), packages(a="1"), Topic.PACKAGE, "will not run"),
        (packages(mariadb_server="1:10.11.6"), packages(mariadb_server="1:10.11.4"), Topic.VERSION, "older"),
        (unit("unknown.service"), NOTHING, Topic.UNIT, "neither this server nor the generation"),
        (
            MasterFacts(users=(AccountFact("a", 5, 5),)),
            MasterFacts(users=(AccountFact("a", 6, 5),)),
            Topic.USER,
            "numb",
        ),
        (MasterFacts(groups=(GroupFact("a", 5),)), NOTHING, Topic.GROUP, "numbers"),
        (settings(SysctlFact("vm.overcommit_memory", "1")), NOTHING, Topic.SYSCTL, "no file on the MASTER"),
        (MasterFacts(system=SystemFacts(timezone="Mars/Olympus")), NOTHING, Topic.TIMEZONE, "tzdata"),
        (MasterFacts(system=SystemFacts(modules=("xt_geoip",))), NOTHING, Topic.MODULE, "does not have it"),
        (MasterFacts(mounts=(MountFact("/srv/x", "nas:/x", "nfs4"),)), NOTHING, Topic.SHARE, "fstab"),
        (MasterFacts(shares=(BY_UNIT,)), NOTHING, Topic.SHARE, "/etc/systemd/system/srv-x.mount is each server's own"),
        (MasterFacts(shares=(ShareFact("/b", "/a", "bind", "/etc/fstab"),)), NOTHING, Topic.SHARE, "fstab is each"),
        (
            MasterFacts(quotas=(QuotaFact("/home", "user", (LimitFact(5, 1, 2, 0, 0),)),)),
            MasterFacts(quotas=(QuotaFact("/home", "group"),)),
            Topic.QUOTA,
            "with quotas",
        ),
        (
            MasterFacts(quotas=(QuotaFact("/home", "user", unread=True),)),
            MasterFacts(quotas=(QuotaFact("/home", "user"),)),
            Topic.QUOTA,
            "repquota",
        ),
        (
            MasterFacts(packages=(PackageFact("dpkg", "1", "arm64"),)),
            MasterFacts(packages=(PackageFact("dpkg", "1", "amd64"),)),
            Topic.ARCHITECTURE,
            "do not run",
        ),
    ],
)
def test_what_a_promotion_leaves_as_it_is_matters(
    master: MasterFacts, slave: MasterFacts, topic: Topic, word: str
) -> None:
    found = one(master, slave)
    assert (found.topic, found.matters) == (topic, True)
    assert word in found.why


@pytest.mark.parametrize(
    ("master", "slave", "topic", "word"),
    [
        (packages(a="1", linux_image_x="1"), packages(a="1"), Topic.PACKAGE, "each server's own"),
        (packages(a="1"), packages(a="1", b="1"), Topic.PACKAGE, "does without"),
        (packages(a="2"), packages(a="1"), Topic.VERSION, "own updates"),
        (packages(mariadb_server="1"), packages(mariadb_server="2"), Topic.VERSION, "newer here"),
        (unit("here.service"), unit("here.service", ""), Topic.UNIT, "comes with the MASTER's /etc"),
        (unit("systemd-x.service"), NOTHING, Topic.UNIT, "init system"),
        (MasterFacts(users=(AccountFact("a", 5, 5),)), MasterFacts(
            users=(AccountFact("a", 5, 5), AccountFact("b", 6, 6))), Topic.USER, "only this server"),
        (settings(SysctlFact("vm.swappiness", "1", "/etc/sysctl.d/a.conf")), NOTHING, Topic.SYSCTL, "applies it"),
        (settings(SysctlFact("vm.max_map_count", "9", "/etc/sysctl.d/a.conf")), NOTHING, Topic.SYSCTL, "applies it"),
        (settings(SysctlFact("kernel.pid_max", "1", "/usr/lib/sysctl.d/a.conf")), NOTHING, Topic.SYSCTL, "package"),
        (MasterFacts(system=SystemFacts(timezone="Europe/Rome")), NOTHING, Topic.TIMEZONE, "/etc"),
        (MasterFacts(system=SystemFacts(locale="it_IT.UTF-8")), NOTHING, Topic.LOCALE, "/etc"),
        (MasterFacts(system=SystemFacts(modules=("nft_ct",))), NOTHING, Topic.MODULE, "when it needs it"),
    ],
)  # fmt: skip
def test_what_a_promotion_puts_right_or_the_machine_keeps_does_not_matter(
    master: MasterFacts, slave: MasterFacts, topic: Topic, word: str
) -> None:
    found = one(master, slave)
    assert (found.topic, found.matters) == (topic, False)
    assert word in found.why


def test_a_setting_that_a_running_service_sets_by_itself_does_not_matter() -> None:
    docker = UnitFact("docker.service", "", True)
    ground = Ground(units={"docker.service"})
    (found,) = drift(settings(SysctlFact("net.ipv4.ip_forward", "1"), units=(docker,)), NOTHING, ground)
    assert not found.matters
    assert "docker.service" in found.why


def test_a_unit_that_the_masters_administrator_wrote_and_nobody_brings_matters() -> None:
    units = tuple(UnitFact(name, "enabled", True, True) for name in ("cloud-sync.timer", "sshd-x.service"))
    found = {each.name: each.matters for each in drift(settings(units=units), NOTHING, GROUND)}
    assert found == {"cloud-sync.timer": True, "sshd-x.service": False}


def test_an_instance_comes_from_its_template_and_a_unit_that_does_not_run_is_not_missed() -> None:
    assert drift(unit("app@1.service", ""), NOTHING, GROUND) == ()
    assert not one(unit("unknown.service", active=False)).matters


def test_what_the_master_did_not_tell_is_no_difference_and_what_matters_comes_first() -> None:
    slave = MasterFacts(
        packages=packages(a="1").packages, users=(AccountFact("a", 5, 5),), system=SystemFacts("C", "UTC", (), ("x",))
    )
    assert drift(NOTHING, slave, GROUND) == ()
    assert [each.matters for each in drift(packages(b="1"), slave, GROUND)] == [True, False]
    modules = MasterFacts(system=SystemFacts(modules=("nft_ct",)))
    assert drift(modules, NOTHING, Ground(modules=None)) == ()


def test_streams_of_modules_that_differ_are_named_and_only_the_masters_matter() -> None:
    def with_streams(*streams: StreamFact) -> MasterFacts:
        return MasterFacts(packages=packages(a="1").packages, streams=streams)

    master = with_streams(StreamFact("nodejs", "18"), StreamFact("php"), StreamFact("same", "1"))
    slave = with_streams(StreamFact("php", "8.1"), StreamFact("ruby", "3.1"), StreamFact("same", "1"))
    found = [(each.topic, each.name, each.master, each.slave, each.matters) for each in drift(master, slave, GROUND)]
    assert found == [
        (Topic.STREAM, "nodejs", "18", "", True),
        (Topic.STREAM, "php", "switched off", "8.1", True),
        (Topic.STREAM, "ruby", "", "3.1", False),
    ]
    assert drift(NOTHING, MasterFacts(streams=slave.streams), GROUND) == ()


def guarded(policy: str, *rules: tuple[str, str, str]) -> MasterFacts:
    return MasterFacts(guard=GuardFacts(policy, tuple(GuardRuleFact(*rule) for rule in rules)))


def test_rules_of_selinux_that_were_made_on_the_master_are_named_until_this_server_has_the_same() -> None:
    port, module = ("port", "tcp 8081", "http_port_t"), ("module", "local_app", "SHA-256 ab")
    master = guarded("targeted", port, module, ("boolean", "same", "on"))
    slave = guarded("targeted", ("boolean", "same", "on"), ("boolean", "own", "on"), (*module[:2], "SHA-256 cd"))
    found = drift(master, slave, GROUND)
    assert [(each.name, each.master, each.slave, each.matters) for each in found] == [
        ("module local_app", "SHA-256 ab", "SHA-256 cd", True),
        ("port tcp 8081", "http_port_t", "", True),
        ("boolean own", "", "on", False),
    ]
    assert "semodule" in found[0].why
    assert "semanage export" in found[1].why
    assert check_drift(found).verdict is Verdict.AMBER
    assert drift(master, master, GROUND) == ()


def test_rules_of_selinux_mean_nothing_where_no_policy_is_asked_or_another_one() -> None:
    master = guarded("targeted", ("boolean", "a", "on"))
    assert drift(master, NOTHING, GROUND) == ()
    assert drift(NOTHING, master, GROUND) == ()
    other = one(master, guarded("mls"))
    assert (other.name, other.master, other.slave, other.matters) == ("policy", "targeted", "mls", True)
    assert not one(guarded("targeted"), guarded("mls")).matters


def test_readiness_is_amber_for_what_matters_and_no_other_check_asks_for() -> None:
    module = one(MasterFacts(system=SystemFacts(modules=("xt_geoip",))))
    check = check_drift([module])
    assert check.verdict is Verdict.AMBER
    assert check.detail.startswith("module xt_geoip is missing, on the MASTER loaded: ")
    package = one(packages(a="1", b="1"), packages(a="1"))
    harmless = one(MasterFacts(system=SystemFacts(locale="C")))
    assert package.matters
    assert check_drift([package, harmless]).verdict is Verdict.GREEN
    assert not_compared("no dpkg").verdict is Verdict.AMBER


def test_a_share_that_is_mounted_by_a_unit_is_told_once_with_that_unit() -> None:
    found = one(MasterFacts(mounts=(MountFact("/srv/x", "nas:/x", "nfs4"),), shares=(BY_UNIT,)))
    assert (found.name, found.master) == ("/srv/x", "nas:/x")
    assert "srv-x.mount" in found.why


@pytest.mark.parametrize(
    "slave",
    [
        MasterFacts(mounts=(MountFact("/srv/x", "other:/x", "nfs4"),)),
        MasterFacts(shares=(ShareFact("/srv/x", "nas:/x", "nfs4", "/etc/fstab"),)),
    ],
)
def test_a_share_that_this_server_has_at_that_place_is_no_difference_whatever_table_says_so(slave: MasterFacts) -> None:
    assert drift(MasterFacts(shares=(BY_UNIT,)), slave, GROUND) == ()


def test_a_folder_at_another_place_is_told_as_that() -> None:
    assert one(MasterFacts(shares=(ShareFact("/b", "/a", "bind", "/etc/fstab"),))).master == "/a (bind)"
