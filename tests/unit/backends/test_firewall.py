from __future__ import annotations

import pytest

from hotsync.backends.firewall import close_port, open_port, render_rules


def test_strangers_are_dropped_after_all_that_is_allowed() -> None:
    lines = [line.strip() for line in render_rules(273, ["10.0.0.2", "fe80::2", "10.0.0.1"]).splitlines()]
    rules = [line for line in lines if line.startswith("tcp dport")]
    assert rules == [
        'tcp dport 273 iifname "lo" accept',
        "tcp dport 273 ip saddr 10.0.0.1 accept",
        "tcp dport 273 ip saddr 10.0.0.2 accept",
        "tcp dport 273 ip6 saddr fe80::2 accept",
        "tcp dport 273 drop",
    ]


@pytest.mark.parametrize("address", ["0.0.0.0/0 accept; flush ruleset", "example.org", "", "fe80::1%eth0; drop"])
def test_nothing_but_an_address_gets_into_the_rules(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        render_rules(273, [address])


def test_the_old_table_goes_in_the_same_transaction() -> None:
    given: list[str] = []
    open_port(273, ["10.0.0.1"], given.append)
    close_port(given.append)
    assert given[0].startswith(given[1])
    assert given[1] == "add table inet hotsync\ndelete table inet hotsync\n"
