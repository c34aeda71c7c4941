"""What belongs to one machine: whatever a site says, each path of the list stays, with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotsync.model.per_host import AT_PROMOTION, PER_HOST, per_host_rules, reason_not_before, reason_of_rule
from hotsync.model.selection import Action, Rule, Selection
from hotsync.profiles.catalog import shipped
from hotsync.profiles.resolve import resolve

ALL = [path for _, paths in PER_HOST for path in paths]


def selection(*site: Rule) -> Selection:
    return resolve(list(shipped().values()), [("/", "ext4")], site, lambda pattern: [pattern])


def below(path: str) -> Iterator[str]:
    plain = path.replace("*", "x").strip("/")
    yield plain
    yield f"{plain}/in/it"


@pytest.mark.parametrize("path", ALL)
def test_no_list_of_the_site_carries_what_belongs_to_one_machine_and_the_reason_is_told(path: str) -> None:
    site = (Rule(path, Action.INCLUDE, "list"), Rule("/etc", Action.INCLUDE, "list"))
    chosen = selection(*site)
    for each in below(path):
        if each.startswith(("var/lib/hotsync/spool", "var/lib/systemd/linger")):
            continue
        decision = chosen.decide(each)
        assert decision.action is Action.PROTECT
        assert reason_of_rule(decision.rule)


def test_the_list_names_each_path_once_and_gives_each_group_a_reason() -> None:
    assert len(set(ALL)) == len(ALL)
    assert all(reason for reason, _ in (*PER_HOST, *AT_PROMOTION))
    assert {rule.pattern for rule in per_host_rules()} == set(ALL)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("etc/systemd/system/srv-data.mount", "as `/etc/fstab` does"),
        ("etc/systemd/system/mnt-nas.automount", "as `/etc/fstab` does"),
        ("etc/systemd/system/dev-sdb2.swap", "as `/etc/fstab` does"),
        ("etc/systemd/system/srv-data.mount.d/noatime.conf", "as `/etc/fstab` does"),
        ("etc/systemd/system/remote-fs.target.wants/mnt-nas.automount", "as `/etc/fstab` does"),
        ("etc/systemd/system/app.service.requires/srv-data.mount", "as `/etc/fstab` does"),
        ("etc/systemd/system/snap.lxd.daemon.service", "installed on this machine"),
        ("etc/systemd/system/multi-user.target.wants/snap.lxd.daemon.service", "installed on this machine"),
        ("etc/tuned/bootcmdline", "hardware"),
        ("etc/default/instance_configs.cfg", "cloud"),
        ("etc/keys/data.key", "encrypted disks"),
        ("etc/zfs/keys/tank", "encrypted disks"),
        ("etc/dropbear/initramfs/authorized_keys", "might not boot"),
        ("etc/dropbear-initramfs/config", "might not boot"),
        ("etc/usbguard/rules.conf", "hardware"),
        ("etc/usbguard/rules.d/10-own.conf", "hardware"),
        ("etc/udev/rules.d/75-persistent-net-generator.rules", "network cards"),
        ("etc/udev/rules.d/80-net-setup-link.rules", "network cards"),
        ("etc/udev/rules.d/10-network.rules", "network cards"),
        ("etc/udev/rules.d/60-net.rules", "network cards"),
        ("etc/udev/rules.d/70-persistent-ipoib.rules", "network cards"),
    ],
)
def test_what_names_disks_and_cards_in_another_form_stays_too(path: str, reason: str) -> None:
    decision = selection().decide(path)
    assert decision.action is Action.PROTECT
    assert reason in reason_of_rule(decision.rule)


@pytest.mark.parametrize(
    "path",
    [
        "etc/systemd/system/app.service", "etc/systemd/system/app.service.d/after-srv.mount.conf",
        "etc/systemd/system/multi-user.target.wants/app.service", "etc/udev/rules.d/99-app.rules",
        "etc/usbguard/usbguard-daemon.conf", "etc/dropbear/dropbear_ed25519_host_key", "etc/zfs/zed.d/zed.rc",
        "etc/ssl/private/web.key",
    ],
)  # fmt: skip
def test_what_lies_beside_them_is_carried(path: str) -> None:
    assert selection().decide(path).action is Action.INCLUDE


def test_a_site_that_names_one_mount_unit_carries_it() -> None:
    named = Rule("/etc/systemd/system/srv-app.mount", Action.INCLUDE, "list")
    assert selection(named).decide("etc/systemd/system/srv-app.mount").action is Action.INCLUDE
    assert selection(named).decide("etc/systemd/system/srv-own.mount").action is Action.PROTECT


@pytest.mark.parametrize("path", [path for _, paths in AT_PROMOTION for path in paths])
def test_what_makes_the_master_the_master_is_carried(path: str) -> None:
    assert selection().decide(path.replace("*", "x").strip("/")).action is Action.INCLUDE


@pytest.mark.parametrize(
    "path", ["var/lib/dhcp/dhcpd.leases", "var/lib/systemd/linger/anna", "var/lib/hotsync/spool/x", "etc/nut/ups.conf"]
)
def test_data_that_lies_beside_what_belongs_to_the_machine_is_carried(path: str) -> None:
    assert selection().decide(path).action is Action.INCLUDE


def test_why_the_masters_keys_are_not_shown_before_is_told_of_each_of_them_and_of_nothing_else() -> None:
    assert "the MASTER's key" in reason_not_before("/etc/ssh/ssh_host_ed25519_key")
    assert reason_not_before("/etc/wireguard/wg0.conf")
    assert reason_not_before("/etc/ssh/sshd_config") == ""
    assert reason_not_before("/srv") == ""


def test_another_rule_has_no_such_reason() -> None:
    assert reason_of_rule(None) == ""
    assert reason_of_rule(Rule("/etc/fstab", Action.PROTECT, "profile base")) == ""
