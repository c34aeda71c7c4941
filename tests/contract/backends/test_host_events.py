"""The checks before a service reads its files: the real nft, dnsmasq and testparm take a good file and name a bad one.

What follows a check (systemctl) would change the machine on which the tests run, so it is not done here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.host_events import perform
from hotsync.errors import CommandFailed
from hotsync.model.host_events import EventFacts, HostAction, actions_at
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract


def check_of(event: str, unit: str, *further: str, rules: Path = Path("/none")) -> HostAction:
    """Return an action with its check only, which looks at a file of the test."""
    (action,) = actions_at(event, EventFacts(running=frozenset({unit}), nftables=str(rules)))
    check, *renewal = action.commands
    assert [each.argv[0] for each in renewal] == ["systemctl"]
    return HostAction(action.name, (replace(check, argv=(*check.argv, *further)),))


def test_rules_that_nftables_does_not_take_end_the_action_before_they_are_loaded(tmp_path: Path) -> None:
    rules = tmp_path / "nftables.conf"
    action = check_of("nethserver-firewall-base-update", "nftables.service", rules=rules)
    with own_network():
        rules.write_text(
            "flush ruleset\ntable inet filter {\n chain input {\n  type filter hook input priority 0\n }\n}\n"
        )
        perform(action)
        rules.write_text("table inet filter {\n chain input {\n  frobnicate\n }\n}\n")
        with pytest.raises(CommandFailed, match=r"nftables.conf:3:.*rror: syntax error"):
            perform(action)


def test_a_file_that_dnsmasq_does_not_take_ends_the_action_before_it_stops(tmp_path: Path) -> None:
    file = tmp_path / "dnsmasq.conf"
    action = check_of("nethserver-hosts-save", "dnsmasq.service", f"--conf-file={file}")
    file.write_text("domain=example.org\n")
    perform(action)
    file.write_text("frobnicate\n")
    with pytest.raises(CommandFailed, match="dnsmasq failed"):
        perform(action)


def test_a_file_that_samba_does_not_take_ends_the_action_before_it_stops(tmp_path: Path) -> None:
    file = tmp_path / "smb.conf"
    action = check_of("nethserver-dc-save", "samba-ad-dc.service", str(file))
    file.write_text("[global]\nworkgroup = AD\n")
    perform(action)
    file.write_text("[global]\nserver role = nonsense\n")
    with pytest.raises(CommandFailed, match="testparm failed"):
        perform(action)
