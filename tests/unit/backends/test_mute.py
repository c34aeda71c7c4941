"""The mute: what is held with a unit, what never is, and how an intruder is recognized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.intruders import daemons_among, parse_listeners, parse_sockets, unit_of_cgroup
from hotsync.backends.mute import TEXT, Mute
from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.model.machine_units import BASE, base_reason
from hotsync.model.mute import ALWAYS_MUTED, covers, mutable
from hotsync.model.unit_names import template_of
from hotsync.system.paths import Paths

SHOW = {
    "postgresql.service": "Names=postgresql.service\nConsistsOf=postgresql@15-main.service\nPartOf=\n",
    "postgresql@15-main.service": "Names=postgresql@15-main.service\nPartOf=postgresql.service\n",
    "dovecot.service": "Names=dovecot.service\nTriggeredBy=dovecot.socket\n",
    "mariadb.service": "Names=mariadb.service mysql.service mysqld.service\nTriggeredBy=\n",
    "report.service": "Names=report.service\nTriggeredBy=report.timer\nPartOf=multi-user.target ssh.service\n",
    "ledger.target": "Wants=ledger-web.service ledger-mail.timer dbus.service basic.target\nRequires=\nConsistsOf=\n",
    "ledger-web.service": "Names=ledger-web.service\nPartOf=ledger.target\nRequiredBy=portal.service\n",
    "store@1.service": "Names=store@1.service\nPartOf=store.target\nBoundBy=reader.service multi-user.target\n",
    "store.target": "Wants=store@1.service store@2.service\nConsistsOf=store@3.service\n",
}
LISTED = "postgresql@15-main.service loaded active running PostgreSQL\npostgresql@16-x.service loaded inactive dead P\n"


class Systemd:
    """A systemctl that answers from captured texts and remembers what it was asked to do."""

    def __init__(self, running: str = "") -> None:
        self.running = running
        self.done: list[Sequence[str]] = []

    def __call__(self, words: Sequence[str]) -> str:
        if words[0] == "show":
            return "\n".join(SHOW.get(unit, f"Names={unit}\n") for unit in words[words.index("--") + 1 :])
        if words[0] == "list-units":
            return LISTED if "--all" in words else self.running
        self.done.append(words)
        return ""


def test_what_starts_or_stops_with_a_unit_is_held_with_it_and_the_machines_own_is_not(tmp_path: Path) -> None:
    found = Mute(Paths(tmp_path), Systemd()).related(
        ["postgresql.service", "postgresql@.service", "dovecot.service", "mariadb.service", "report.service"]
    )
    assert found >= {"postgresql@15-main.service", "postgresql@16-x.service", "postgresql@.service"}
    assert found >= {"dovecot.socket", "mysql.service", "mysqld.service", "report.timer"}
    assert not found & {"ssh.service", "multi-user.target"}


def test_an_applications_target_holds_what_it_starts_and_the_systems_own_hold_nothing(
    tmp_path: Path,
) -> None:
    mute = Mute(Paths(tmp_path), Systemd())
    assert mute.related(["ledger.target"]) == {"ledger-web.service", "ledger-mail.timer", "portal.service"}
    assert mute.related(["store@1.service"]) == {f"store@{n}.service" for n in (1, 2, 3)} | {"reader.service"}
    assert mute.related(["multi-user.target"]) == set()


def test_a_unit_is_muted_once_and_what_runs_of_it_is_stopped_its_starters_first(tmp_path: Path) -> None:
    systemd = Systemd(
        "mail.service loaded active running Mail\nmail.socket loaded active listening M\nx.service a b c\n"
    )
    mute = Mute(Paths(tmp_path), systemd)
    assert mute.apply(["mail.service", "mail.socket", "job@.service"]) == (
        "job@.service",
        "mail.service",
        "mail.socket",
    )
    assert systemd.done == [["daemon-reload"], ["stop", "--", "mail.socket", "mail.service"]]
    assert (tmp_path / "etc/systemd/system/mail.service.d" / MUTE_DROP_IN).read_bytes() == TEXT
    assert mute.muted() == {"mail.service", "mail.socket", "job@.service"}
    systemd.running, systemd.done = "", []
    assert mute.apply(["mail.service", "job@.service", "job@one.service"]) == ()
    assert mute.apply(["other@two.service"]) == ("other@two.service",)
    systemd.done.clear()
    assert systemd.done == []


class Cut(Systemd):
    """The run is killed between the drop-ins and the reload."""

    def __call__(self, words: Sequence[str]) -> str:
        if words[0] == "daemon-reload":
            raise KeyboardInterrupt
        return super().__call__(words)


def test_what_was_cut_before_systemd_had_read_it_is_read_by_the_next_run_and_by_no_further_one(tmp_path: Path) -> None:
    """The next run found all drop-ins there and reloaded nothing: loaded units kept their old conditions."""
    paths, systemd = Paths(tmp_path), Systemd()
    mute = Mute(paths, systemd)
    assert not mute.unread
    with pytest.raises(KeyboardInterrupt):
        Mute(paths, Cut()).apply(["mail.service"])
    assert mute.unread
    assert mute.lacking(["mail.service"]) == frozenset()
    assert mute.apply(["mail.service"]) == ()
    assert systemd.done == [["daemon-reload"]]
    with pytest.raises(KeyboardInterrupt):
        Mute(paths, Cut()).release(["mail.service"])
    assert (mute.unread, mute.muted()) == (True, frozenset())
    mute.apply([])
    assert systemd.done == [["daemon-reload"]] * 2
    mute.apply([])
    assert (mute.unread, systemd.done) == (False, [["daemon-reload"]] * 2)


def test_what_this_server_keeps_is_let_go_and_other_drop_ins_of_it_stay(tmp_path: Path) -> None:
    systemd = Systemd()
    mute = Mute(Paths(tmp_path), systemd)
    mute.apply(["mail.service", "web.service"])
    (tmp_path / "etc/systemd/system/mail.service.d/own.conf").touch()
    systemd.done.clear()
    mute.release(["mail.service", "never.service", "web.service"])
    assert mute.muted() == set()
    assert systemd.done == [["daemon-reload"]]
    assert [path.name for path in (tmp_path / "etc/systemd/system").rglob("*")] == ["mail.service.d", "own.conf"]


def test_either_of_two_files_lets_a_muted_unit_start_and_a_missing_disk_holds_it() -> None:
    lines = TEXT.decode().splitlines()
    either = "PathExistsGlob=/{var/lib/hotsync/production,run/hotsync/promoting}"
    assert f"Condition{either}" in lines
    assert f"Assert{either}" in lines
    assert not any("=|" in line for line in lines if not line.startswith("#"))  # it would be joined with the unit's own
    assert "RequiresMountsFor=/var/lib/hotsync" in lines


@pytest.mark.parametrize("unit", ["../../etc/x.service", "a b.service", "x.service\n", "x/y.service", "x.mount", ""])
def test_a_name_that_is_no_unit_of_work_makes_no_file(tmp_path: Path, unit: str) -> None:
    assert Mute(Paths(tmp_path), Systemd()).apply([unit]) == ()
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "unit",
    [
        "dbus.service",
        "systemd-logind.service",
        "systemd-networkd.socket",
        "ssh.service",
        "sshd.service",
        "networking.service",
        "getty@tty1.service",
        "rsyslog.service",
        "hotsyncd.service",
        "hotsync-slave.timer",
        "hotsync-receive@.service",
        "chrony.service",
        "nftables.service",
        "cockpit.socket",
        "qemu-guest-agent.service",
        "apt-daily.timer",
        "user@1000.service",
    ],
)
def test_a_hostile_master_cannot_mute_what_the_machine_needs(tmp_path: Path, unit: str) -> None:
    assert base_reason(unit)
    assert Mute(Paths(tmp_path), Systemd()).apply([unit]) == ()


def test_every_unit_that_is_never_muted_has_its_reason_and_no_application_is_among_them() -> None:
    assert all(pattern and reason for pattern, reason in BASE)
    applications = {
        "postfix.service", "dovecot.service", "mariadb.service", "smbd.service", "apache2.service", "nginx.service",
        "postgresql@15-main.service", "asterisk.service", "fetchmail.service", "rsync.service", "nfs-server.service",
        "docker.service", "certbot.timer", "slapd.service", "bind9.service", "named.service", "isc-dhcp-server.service",
        "dnsmasq.service", "apt-cacher-ng.service", "redis-server.service",
        "php8.2-fpm.service", "proftpd.service", "vsftpd.service",
    }  # fmt: skip
    assert mutable(applications) == applications
    assert mutable(ALWAYS_MUTED) == set(ALWAYS_MUTED)


def test_containers_and_jobs_that_are_named_like_the_init_system_are_production() -> None:
    serving = {"systemd-nspawn@web.service", "systemd-nspawn@.service", "systemd-cron-cleaner.timer"}
    assert mutable(serving) == serving
    assert mutable({"systemd-timesyncd.service", "systemd-journald.socket"}) == set()


@pytest.mark.parametrize("unit", ["serial-.service", "user-.service", "open-.service", "mail-.service", "-.service"])
def test_the_beginning_of_a_name_is_never_muted_since_the_machines_own_may_begin_so(tmp_path: Path, unit: str) -> None:
    assert Mute(Paths(tmp_path), Systemd()).apply([unit]) == ()


def test_jobs_that_become_units_are_held_by_how_their_names_begin() -> None:
    held = frozenset(ALWAYS_MUTED)
    assert covers(held, "cron-root-1.service")
    assert covers(held, "cron-daily.timer")
    assert not covers(held, "cronyx.service")
    assert not covers(held, "mail-cron-1.service")
    assert not covers(frozenset(("a-b-.service",)), "a-b.service")
    assert covers(frozenset(("a-b-.service",)), "a-b-c@1.service")


def test_an_instance_is_held_by_its_template() -> None:
    assert template_of("postfix@-.service") == "postfix@.service"
    assert template_of("postfix.service") == "postfix.service"
    assert covers(frozenset(("postfix@.service",)), "postfix@-.service")
    assert not covers(frozenset(("postfix@.service",)), "postfix.service")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/mariadb.service\n", "mariadb.service"),
        ("0::/system.slice/system-postfix.slice/postfix@-.service\n", "postfix@-.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("0::/../system.slice/ssh.service/inner\n", "ssh.service"),
        ("1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service"),
        ("4:memory:/other.service\n0::/init.scope\n", ""),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/ssh.service\n", "user@7.service"),
        (
            "0::/machine.slice/systemd-nspawn@web.service/system.slice/ssh.service\n",
            "systemd-nspawn@web.service",
        ),
        ("0::/system.slice/docker-1f.scope/system.slice/ssh.service\n", ""),
    ],
)
def test_the_unit_of_a_process_is_read_from_its_cgroup(text: str, unit: str) -> None:
    assert unit_of_cgroup(text) == unit


def test_listening_sockets_are_read_with_all_their_owners() -> None:
    text = (
        'tcp LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("master",pid=12,fd=13),("smtpd",pid=14,fd=6))\n'
        "udp UNCONN 0 0 [::]:111 [::]:*\n"
        'tcp LISTEN 0 511 *:80 *:* users:(("apache2",pid=20,fd=4))\n'
    )
    assert parse_listeners(text) == [
        ("tcp 0.0.0.0:25", 12, "master"),
        ("tcp 0.0.0.0:25", 14, "smtpd"),
        ("udp [::]:111", 0, ""),
        ("tcp *:80", 20, "apache2"),
    ]


def test_for_whom_the_init_system_listens_is_read_with_protocol_and_port() -> None:
    text = (
        "/run/dbus/system_bus_socket Stream dbus.socket dbus.service\n"
        "[::]:22 Stream ssh.socket ssh.service\n"
        "0.0.0.0:111 Datagram rpcbind.socket rpcbind.service\n"
        "audit 1 Netlink systemd-journald-audit.socket systemd-journald.service\n"
    )
    assert parse_sockets(text) == {("tcp", 22): "ssh.socket", ("udp", 111): "rpcbind.socket"}


def test_daemons_are_known_by_where_their_programs_lie_and_tools_of_people_are_not() -> None:
    paths = ["/usr/sbin/cron", "/usr/bin/crontab", "/lib/x/daemon", "/usr/lib/postfix/sbin/master", "/etc/cron.d"]
    assert daemons_among(paths) == {"/usr/sbin/cron", "/usr/lib/x/daemon", "/usr/lib/postfix/sbin/master"}
