"""Facts: what holds still is told, what comes and goes by itself is not; documents are read without trust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotsync.errors import ReplicaError
from hotsync.model.facts import (
    AccountFact,
    AddressFact,
    GroupFact,
    GuardFacts,
    GuardRuleFact,
    InterfaceFact,
    MasterFacts,
    MountFact,
    NetworkFacts,
    PackageFact,
    RouteFact,
    ShareFact,
    StreamFact,
    UnitFact,
)
from hotsync.sources.facts import (
    parse_groups,
    parse_interfaces,
    parse_mounts,
    parse_packages,
    parse_resolver,
    parse_routes,
    parse_units,
    parse_users,
    read_units,
)
from hotsync.state.facts import load_facts, render_facts
from hotsync.state.handover import drop_units, load_units, save_units
from hotsync.system.paths import Paths

FACTS = MasterFacts(
    packages=(PackageFact("postfix", "3.7.11", "amd64", manual=True), PackageFact("x", "1", "all", held=True)),
    users=(AccountFact("vmail", 5000, 5000, "/var/vmail", "/usr/sbin/nologin"),),
    groups=(GroupFact("vmail", 5000, ("a", "b")),),
    units=(UnitFact("postfix@-.service", "", True), UnitFact("cron.service", "enabled", True)),
    network=NetworkFacts(
        "master",
        (InterfaceFact("eth0", "02:00:00:00:00:01", "", "", True, (AddressFact("10.77.0.1", 24),)),),
        (RouteFact("default", "eth0", "10.77.0.254", 100),),
        ("10.77.0.254",),
        ("example.org",),
    ),
    mounts=(MountFact("/srv/a b", "/dev/sdb1", "xfs", "rw"),),
    shares=(ShareFact("/mnt/x", "nas:/x", "nfs4", "/etc/systemd/system/mnt-x.mount"),),
    streams=(StreamFact("postgresql", "15"), StreamFact("php")),
    guard=GuardFacts("targeted", (GuardRuleFact("port", "tcp 8081", "http_port_t"),)),
)


def write(folder: Path, facts: MasterFacts) -> None:
    (folder / "facts").mkdir(parents=True)
    for name, data in render_facts(facts).items():
        (folder / "facts" / name).write_bytes(data)


@pytest.mark.parametrize("below", ["", "var/lib/hotsync/spool"])
def test_facts_are_read_back_from_a_spool_and_from_a_tree(tmp_path: Path, below: str) -> None:
    write(tmp_path / below, FACTS)
    assert load_facts(tmp_path) == FACTS


def test_what_was_not_told_is_empty(tmp_path: Path) -> None:
    assert load_facts(tmp_path) == MasterFacts()
    write(tmp_path, FACTS)
    (tmp_path / "facts/units.json").unlink()
    assert load_facts(tmp_path).units == ()
    assert load_facts(tmp_path).packages == FACTS.packages
    (tmp_path / "facts/packages.json").write_text('{"schema": 1, "packages": []}')
    assert load_facts(tmp_path).streams == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "malformed"),
        ("[]", "malformed"),
        ('{"schema": 1}', "malformed at packages"),
        ('{"schema": 1, "packages": [{"name": "a", "version": 1}]}', "malformed at packages.0.version"),
        ('{"schema": 2, "packages": []}', "newer HotSync"),
    ],
)  # fmt: skip
def test_a_document_that_is_not_one_says_where(tmp_path: Path, content: str, reason: str) -> None:
    write(tmp_path, FACTS)
    (tmp_path / "facts/packages.json").write_text(content)
    with pytest.raises(ReplicaError, match=reason):
        load_facts(tmp_path)


def test_a_link_among_the_facts_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, FACTS)
    (tmp_path / "facts/units.json").rename(tmp_path / "elsewhere")
    (tmp_path / "facts/units.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReplicaError):
        load_facts(tmp_path)


def test_units_count_as_active_only_if_the_system_wants_them() -> None:
    listed = """cron.service enabled enabled
ssh.service disabled enabled
nginx.service masked enabled
apt-daily.timer enabled enabled
dbus.socket static -
getty@.service enabled enabled
hotsync.timer enabled enabled
"""
    blocks = [
        "Id=cron.service\nActiveState=active\nTransient=no\nWantedBy=multi-user.target\nRequiredBy=",
        "Id=postgresql@15-main.service\nActiveState=active\nTransient=no\nWantedBy=postgresql.service\nRequiredBy=",
        "Id=ssh.service\nActiveState=active\nTransient=no\nWantedBy=\nRequiredBy=",
        "Id=run-u1.service\nActiveState=active\nTransient=yes\nWantedBy=x.target\nRequiredBy=",
        "Id=logrotate.service\nActiveState=activating\nTransient=no\nWantedBy=\nRequiredBy=",
        "Id=user@0.service\nActiveState=active\nTransient=no\nWantedBy=\nRequiredBy=session-1.scope",
        "Id=dbus.socket\nActiveState=active\nTransient=no\nWantedBy=sockets.target\nRequiredBy=dbus.service",
        "Id=hotsync.timer\nActiveState=active\nTransient=no\nWantedBy=timers.target\nRequiredBy=",
        "Id=ledger.service\nActiveState=active\nTransient=no\nWantedBy=\nUpheldBy=shop.target\nRequiredBy=",
        "Id=run-backup.timer\nActiveState=active\nTransient=no\nWantedBy=timers.target\nRequiredBy=",
        "Id=session-4.scope\nActiveState=active\nTransient=yes\nWantedBy=x.slice\nRequiredBy=",
    ]
    assert parse_units("\n\n".join(blocks) + "\n", listed) == (
        UnitFact("apt-daily.timer", "enabled", False),
        UnitFact("cron.service", "enabled", True),
        UnitFact("dbus.socket", "static", True),
        UnitFact("ledger.service", "", True),
        UnitFact("nginx.service", "masked", False),
        UnitFact("postgresql@15-main.service", "", True),
        UnitFact("run-backup.timer", "", True),
    )


def test_what_the_administrator_wrote_is_told_as_such_also_what_his_timer_starts() -> None:
    listed = (
        "zfs-a.service static -\nzfs-a.timer enabled enabled\nzfs-b@.timer disabled enabled\nzfs-c.service static -\n"
    )
    shown = "Id=zfs-b@tank.timer\nActiveState=active\nTransient=no\nWantedBy=timers.target\n"
    assert parse_units(shown, listed, {"zfs-a.service", "zfs-a.timer", "zfs-b@.timer"}) == (
        UnitFact("zfs-a.service", "static", False, True),
        UnitFact("zfs-a.timer", "enabled", False, True),
        UnitFact("zfs-b@.timer", "disabled", False, True),
        UnitFact("zfs-b@tank.timer", "", True, True),
    )


def test_units_that_an_older_hotsync_told_are_read(tmp_path: Path) -> None:
    write(tmp_path, FACTS)
    old = '{"schema": 1, "units": [{"name": "cron.service", "enabled": "enabled", "active": true, "later": 1}]}'
    (tmp_path / "facts/units.json").write_text(old)
    assert load_facts(tmp_path).units == (UnitFact("cron.service", "enabled", True),)


def test_interfaces_are_told_without_what_passes() -> None:
    links = [
        {"ifname": "lo", "link_type": "loopback", "flags": ["UP"]},
        {"ifname": "veth1", "link_type": "ether", "master": "br0", "linkinfo": {"info_kind": "veth"}, "flags": ["UP"]},
        {"ifname": "eth1", "link_type": "ether", "master": "br0", "linkinfo": {"info_kind": "veth"}, "flags": ["UP"]},
        {
            "ifname": "eth0",
            "link_type": "ether",
            "address": "02:00:00:00:00:99",
            "permaddr": "02:00:00:00:00:01",
            "flags": ["BROADCAST", "UP"],
            "addr_info": [
                {"local": "10.0.0.1", "prefixlen": 24, "scope": "global", "valid_life_time": 4294967295},
                {"local": "10.0.0.2", "prefixlen": 24, "scope": "global", "dynamic": True, "valid_life_time": 77},
                {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
                {"local": "2001:db8::5", "prefixlen": 64, "scope": "global", "temporary": True},
            ],
        },
        {"ifname": "br0", "link_type": "ether", "address": "02:00:00:00:00:02", "linkinfo": {"info_kind": "bridge"}},
    ]
    assert parse_interfaces(json.dumps(links)) == (
        InterfaceFact("br0", "02:00:00:00:00:02", "bridge", "", False, ()),
        InterfaceFact(
            "eth0", "02:00:00:00:00:01", "", "", True,
            (AddressFact("10.0.0.1", 24), AddressFact("10.0.0.2", 24, dynamic=True)),
        ),
        InterfaceFact("eth1", "", "veth", "br0", True, ()),  # a server that is a container has such cards
    )  # fmt: skip
    assert parse_interfaces("") == ()


def test_routes_are_those_that_somebody_gave() -> None:
    routes = [
        {"dst": "default", "gateway": "10.0.0.254", "dev": "eth0", "protocol": "static", "metric": 5, "expires": 3},
        {"dst": "10.0.0.0/24", "dev": "eth0", "protocol": "kernel"},
        {"dst": "10.9.0.0/16", "dev": "eth0"},
    ]
    assert list(parse_routes(json.dumps(routes))) == [
        RouteFact("default", "eth0", "10.0.0.254", 5),
        RouteFact("10.9.0.0/16", "eth0"),
    ]


def test_the_resolver() -> None:
    text = "# nameserver 9.9.9.9\nnameserver 10.0.0.1\n\nsearch a.org b.org\nnameserver fd00::1\noptions rotate\n"
    assert parse_resolver(text) == (("10.0.0.1", "fd00::1"), ("a.org", "b.org"))


def test_mounts_are_disks_and_shares_with_their_names_undone() -> None:
    text = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /proc rw - proc proc rw
24 22 8:2 / /srv/a\040b rw,noatime - xfs /dev/sdb1 rw
25 22 8:1 /var/www /srv/bind rw - ext4 /dev/sda1 rw
26 22 0:30 / /data rw - nfs4 nas:/data rw
27 22 7:0 / /snap/x ro - squashfs /dev/loop1 ro
28 22 0:31 /@home /home rw - btrfs /dev/sdc1 rw
29 22 0:32 / /data rw - tmpfs tmpfs rw
nonsense
"""
    assert list(parse_mounts(text)) == [
        MountFact("/", "/dev/sda1", "ext4", "rw,relatime"),
        MountFact("/home", "/dev/sdc1", "btrfs", "rw"),
        MountFact("/srv/a b", "/dev/sdb1", "xfs", "rw,noatime"),
    ], "a tmpfs over the share hides it"


def test_accounts_leave_out_what_they_do_not_understand() -> None:
    assert list(parse_users("root:x:0:0:root:/root:/bin/bash\n+::::::\nbad\n")) == [
        AccountFact("root", 0, 0, "/root", "/bin/bash")
    ]
    assert list(parse_groups("adm:x:4:syslog,root,\nbad:x\n")) == [GroupFact("adm", 4, ("root", "syslog"))]


def test_packages_with_apts_marks() -> None:
    text = (
        "installed\tb\t1:2-3\tamd64\thold\nconfig-files\tgone\t1\tall\tdeinstall\ninstalled\ta\t1\tall\tinstall\n"
        "installed\tc\t1\tall\tinstall\ninstalled\tb\t1:2-3\ti386\tinstall\n"
    )
    states = (
        "Package: b\nArchitecture: amd64\nAuto-Installed: 1\n\n"
        "Package: a\nArchitecture: amd64\nAuto-Installed: 0\n\n"
        "Package: c\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    )
    assert parse_packages(text, states) == (
        PackageFact("a", "1", "all", True),
        PackageFact("b", "1:2-3", "amd64", False, True),
        PackageFact("b", "1:2-3", "i386", True),
        PackageFact("c", "1", "all", False),
    )


def test_while_a_master_hands_over_its_units_are_what_they_were_before_they_were_stopped(tmp_path: Path) -> None:
    paths, before = Paths(tmp_path), (UnitFact("postfix@-.service", "indirect", True),)
    paths.run.mkdir(parents=True)
    save_units(paths, before)
    assert read_units(paths) == before  # and nobody is asked: no unit test runs a program
    drop_units(paths)
    assert load_units(paths) == ()
