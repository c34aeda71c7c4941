"""What production is on a SLAVE: units, and the programs that serve it, wherever their package keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.mute import TEXT, Mute
from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.engine.slave.mute import Production, no_longer_held, read_kept, read_production, serving_applications
from hotsync.model.facts import MasterFacts, PackageFact, UnitFact
from hotsync.profiles.catalog import shipped
from hotsync.state.slave_packages import add_brought
from hotsync.system.paths import Paths

STATUS = """\
Package: mariadb-server
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)
Pre-Depends: adduser
Depends: mariadb-client (>= 1:10.11), mariadb-server-core (>= 1:10.11.14-0+deb12u2), lsof, init-of-it

Package: mariadb-server-core
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)

Package: mariadb-client
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)

Package: fail2ban
Status: install ok installed
Priority: optional

Package: firewalld
Status: install ok installed
Priority: optional

Package: lsof
Status: install ok installed
Priority: optional

Package: init-of-it
Status: install ok installed
Priority: important
Source: mariadb
"""
FILES = {
    "mariadb-server": ["/usr/lib/systemd/system/mariadb.service", "/usr/sbin/galera_helper"],
    "mariadb-server-core": ["/usr/sbin/mariadbd"],
    "mariadb-client": ["/usr/lib/mariadb/ask"],
    "fail2ban": ["/usr/lib/systemd/system/fail2ban.service"],
    "firewalld": ["/usr/lib/systemd/system/firewalld.service"],
    "lsof": ["/usr/sbin/lsof"],
    "init-of-it": ["/usr/lib/init"],
}


def production_of(root: Path, *units: UnitFact, active: str = "", mute: Mute | None = None) -> Production:
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    for package, files in FILES.items():
        (info / f"{package}.list").write_text("\n".join(files) + "\n")

    def systemctl(words: Sequence[str]) -> str:
        return active if words[0] == "list-units" and "--all" not in words else ""

    paths = Paths(root)
    facts = MasterFacts(
        packages=(PackageFact("mariadb-server", "1:10.11.14-0+deb12u2", "amd64", manual=True),), units=units
    )
    return read_production(paths, mute or Mute(paths, systemctl), facts)


def test_a_server_whose_program_lies_in_a_sibling_of_its_package_is_production(tmp_path: Path) -> None:
    production = production_of(tmp_path)
    assert "mariadb.service" in production.units
    assert {"/usr/sbin/mariadbd", "/usr/sbin/galera_helper"} <= production.programs


def test_programs_of_other_sources_of_clients_and_of_the_base_system_are_nobodys_production(tmp_path: Path) -> None:
    assert not production_of(tmp_path).programs & {"/usr/sbin/lsof", "/usr/lib/init", "/usr/lib/mariadb/ask"}


RUNNING = [
    UnitFact(name, "enabled", active=True)
    for name in (
        "ledger.service",
        "ssh.service",
        "zabbix-agent.service",
        "wg-quick@wg0.service",
        "unbound.service",
        "fail2ban.service",
        "nut-server.service",
    )
]


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_what_the_master_runs_is_held_though_nobody_knows_it_and_the_machines_own_runs_on(tmp_path: Path) -> None:
    units = production_of(
        tmp_path,
        *RUNNING,
        UnitFact("certbot.timer", "enabled"),
        UnitFact("off.service", "masked"),
        UnitFact("lsyncd.service", "", active=True),
    ).units
    assert units >= {"ledger.service", "certbot.timer", "lsyncd.service", "wg-quick@wg0.service", "unbound.service"}
    assert not units & {"ssh.service", "zabbix-agent.service", "off.service", "fail2ban.service", "nut-server.service"}


def test_what_guards_a_machine_is_held_if_it_came_with_the_masters_packages(tmp_path: Path) -> None:
    """Fail2ban ran on the SLAVE as its package came, and failed; NUT's daemons looked for a power supply there."""
    assert "fail2ban.service" not in production_of(tmp_path / "own", *RUNNING).units
    (tmp_path / "brought/var/lib/hotsync").mkdir(parents=True)
    add_brought(Paths(tmp_path / "brought"), ["fail2ban:amd64"])
    assert "fail2ban.service" in production_of(tmp_path / "brought", *RUNNING).units


def test_what_this_slaves_administrator_keeps_is_not_held_but_cron_is(tmp_path: Path) -> None:
    text = '[profile]\nname = "own"\ntitle = "own"\n[services]\nkeep = ["unbound.service", "cron.service"]\n'
    put(tmp_path, "etc/hotsync/profiles.d/own.toml", text)
    put(tmp_path, "var/lib/hotsync/replica/tree/etc/hotsync/profiles.d/m.toml", text.replace("unbound", "ledger"))
    production = production_of(tmp_path, *RUNNING)
    assert "unbound.service" not in production.units
    assert {"ledger.service", "cron.service"} <= production.units, "the MASTER's word does not count"
    assert production.kept.reason("unbound.service")
    assert not production.kept.reason("cron.service")


WRITTEN = "[Service]\nExecStart=/usr/local/bin/backup\n"
HANDMADE = [
    UnitFact("run-backup.timer", "enabled", active=True),
    UnitFact("zfs-autobackup.timer", "enabled", active=True, handmade=True),
    UnitFact("zfs-autobackup.service", "static", handmade=True),
    UnitFact("sshd-backup.service", "enabled", active=True, handmade=True),
    UnitFact("cloud-sync.timer", "enabled", active=True),
]


def test_what_the_masters_administrator_wrote_is_held_and_never_a_way_in(tmp_path: Path) -> None:
    units = production_of(tmp_path, *HANDMADE).units
    assert units >= {"run-backup.timer", "zfs-autobackup.timer"}
    assert not units & {"sshd-backup.service", "cloud-sync.timer"}, "a way in; and one that came with a package there"


def test_a_part_of_this_machine_is_never_held_whatever_the_master_calls_its_own(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/system/zfs-autobackup.timer", "")
    put(tmp_path, "etc/systemd/system/cloud-sync.timer", "[Timer]\nOnCalendar=daily\n")
    told = [*HANDMADE[:2], UnitFact("cloud-sync.timer", "enabled", active=True, handmade=True)]
    assert "zfs-autobackup.timer" not in production_of(tmp_path, *told).units
    put(tmp_path, "usr/lib/systemd/system/zfs-autobackup.timer", "")


def test_the_same_file_on_both_is_held_on_the_slave(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/system/zfs-autobackup.timer", "[Timer]\nOnCalendar=daily\n")
    assert "zfs-autobackup.timer" in production_of(tmp_path, *HANDMADE).units


def test_what_an_earlier_version_held_of_the_machine_is_let_go(tmp_path: Path) -> None:
    """The SLAVE's encrypted disk stayed closed: clevis-luks-askpass.path was muted as soon as the MASTER had it."""
    for unit in ("clevis-luks-askpass.path", "ledger.service", "zfs-autobackup.timer"):
        put(tmp_path, f"etc/systemd/system/{unit}.d/{MUTE_DROP_IN}", TEXT.decode())
    mute = Mute(Paths(tmp_path), lambda _: "")
    mute.learn({"zfs-autobackup.timer"})
    assert no_longer_held(mute, Production()) == {"clevis-luks-askpass.path"}


def test_a_tunnel_is_held_only_with_the_masters_configuration(tmp_path: Path) -> None:
    put(tmp_path, "etc/wireguard/wg0.conf", "PrivateKey = a")
    put(tmp_path, "var/lib/hotsync/replica/tree/etc/wireguard/wg0.conf", "PrivateKey = b")
    own = read_kept(Paths(tmp_path))
    assert own.reason("wg-quick@wg0.service")
    assert own.reason("wg-quick@.service")
    assert "wg-quick@wg0.service" not in production_of(tmp_path, *RUNNING).units
    put(tmp_path, "var/lib/hotsync/replica/tree/etc/wireguard/wg0.conf", "PrivateKey = a")
    assert not read_kept(Paths(tmp_path)).reason("wg-quick@wg0.service"), "one identity, used twice"


IPSEC = [
    ("etc/ipsec.conf", "config setup\nconn %default\n  ikelifetime=60m\nconn office\n  left=192.0.2.1\n"),
    ("etc/ipsec.d/office.conf", "conn office\n"),
    ("etc/swanctl/conf.d/office.conf", "connections {\n  office { }\n}\n"),
    ("etc/strongswan/swanctl/conf.d/office.conf", "  connections\n{\n"),
    ("etc/swanctl/swanctl.conf", "connections.office {\n"),
]
PACKAGES = "config setup\n# conn sample\n\t#conn other\nconn %default\n#connections {\ninclude conf.d/*.conf\n"


@pytest.mark.parametrize(("path", "text"), IPSEC)
def test_ipsec_runs_on_where_the_slave_has_a_connection_of_its_own(tmp_path: Path, path: str, text: str) -> None:
    """strongswan-starter was held, which cut a SLAVE that reaches its MASTER by IPsec."""
    names = ("strongswan-starter.service", "ipsec.service", "strongswan.service")
    units = [UnitFact(name, "enabled", active=True) for name in names]
    put(tmp_path, path, PACKAGES)
    assert not read_kept(Paths(tmp_path)).reason("ipsec.service"), "as its package came"
    put(tmp_path, path, text)
    assert not production_of(tmp_path, *units).units & set(names)
    put(tmp_path, f"var/lib/hotsync/replica/tree/{path}", text)
    assert not any(read_kept(Paths(tmp_path)).reason(name) for name in names), "one identity, used twice"


@pytest.mark.parametrize(
    ("resolv", "kept"),
    [
        ("nameserver 127.0.0.1\n", True),
        ("nameserver 192.0.2.53\nnameserver ::1\n", True),
        ("nameserver 192.0.2.53\n", False),
        ("nameserver 127.0.0.53\n", False),
        ("nameserver none\n", False),
    ],
)
def test_the_resolver_that_this_slave_asks_runs_on_and_one_that_it_does_not_ask_is_held(
    tmp_path: Path, resolv: str, kept: bool
) -> None:
    """Unbound was stopped on a SLAVE with `nameserver 127.0.0.1`: no repository, and no MASTER by its name."""
    put(tmp_path, "etc/resolv.conf", resolv)
    production = production_of(tmp_path, *RUNNING, UnitFact("dnsmasq.service", "enabled", active=True))
    assert ("unbound.service" not in production.units) == kept
    assert "dnsmasq.service" in production.units, "it may give out addresses"


def test_a_firewall_that_came_with_the_masters_packages_is_held_unless_it_runs(tmp_path: Path) -> None:
    """It came up at the SLAVE's next boot with its package's rules, and shut out the MASTER and the administrator."""
    running = "firewalld.service loaded active running firewalld\n"
    own, brought, set_up = (tmp_path / name for name in ("own", "brought", "set up"))
    for root in (brought, set_up):
        (root / "var/lib/hotsync").mkdir(parents=True)
        add_brought(Paths(root), ["firewalld"])
    mute = Mute(Paths(brought), lambda words: "")
    units = production_of(brought, mute=mute).units
    assert "firewalld.service" in units
    assert "firewalld.service" in mute.apply(units)
    assert "firewalld.service" in mute.muted()
    # the rules of one that runs are this server's: to end it would open it
    assert "firewalld.service" not in production_of(set_up, active=running).units
    # whatever the MASTER has: this server's own is never held
    assert "firewalld.service" not in production_of(own, UnitFact("firewalld.service", "enabled", active=True)).units
    assert Mute(Paths(own), lambda words: "").apply(["firewalld.service"]) == ()


def test_an_administrator_keeps_a_firewall_that_came_with_the_masters_packages(tmp_path: Path) -> None:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    add_brought(Paths(tmp_path), ["firewalld"])
    text = '[profile]\nname = "own"\ntitle = "own"\n[services]\nkeep = ["firewalld.service"]\n'
    put(tmp_path, "etc/hotsync/profiles.d/own.toml", text)
    assert "firewalld.service" not in production_of(tmp_path).units


def test_what_serves_on_the_master_is_known_with_its_packages_there_and_not_what_is_the_machines() -> None:
    names = ("postfix", "chrony", "fail2ban", "mariadb-server", "libc6")
    packages = tuple(PackageFact(name, "1", "amd64") for name in names)
    running = ("postfix.service", "chrony.service", "fail2ban.service")
    units = (*(UnitFact(name, "enabled", active=True) for name in running), UnitFact("mariadb.service", "disabled"))
    found = serving_applications(shipped().values(), MasterFacts(packages=packages, units=units))
    assert found == {"Postfix mail server": {"postfix"}}
