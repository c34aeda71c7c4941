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
