from __future__ import annotations

import json

import pytest

from hotsync.transport.addresses import addresses_of, parse_link_local, plain_address, scoped

SHOWN = json.dumps(
    [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "scope": "host"}]},
        {
            "ifname": "eth0",
            "addr_info": [
                {"family": "inet", "local": "169.254.1.1", "scope": "link"},
                {"family": "inet", "local": "10.0.0.1", "scope": "global"},
                {"family": "inet6", "local": "fe80::1", "scope": "link"},
            ],
        },
        {"ifname": "eth1", "addr_info": [{"family": "inet", "local": "10.0.1.1", "scope": "global"}]},
        {},
    ]
)


@pytest.mark.parametrize(
    ("shown", "plain"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("FE80::1%eth0", "fe80::1"), ("name", "name")],
)
def test_one_address_has_one_form(shown: str, plain: str) -> None:
    assert plain_address(shown) == plain


def test_an_address_needs_no_name_service() -> None:
    assert addresses_of("::ffff:10.0.0.1") == frozenset({"10.0.0.1"})


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("10.0.0.1", ("fe80::1", "eth0")),
        ("10.0.1.1", ("", "eth1")),
        ("10.9.9.9", ("", "")),
        ("fe80::1", ("fe80::1", "eth0")),
    ],
)
def test_the_link_local_address_is_that_of_the_same_interface(address: str, found: tuple[str, str]) -> None:
    assert parse_link_local(SHOWN, address) == found


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
def test_what_ip_does_not_say_is_nothing(text: str) -> None:
    assert parse_link_local(text, "10.0.0.1") == ("", "")


def test_a_link_local_address_is_dialled_through_an_interface() -> None:
    assert scoped("fe80::1", "eth0") == "fe80::1%eth0"
    assert scoped("", "eth0") == scoped("fe80::1", "") == ""
