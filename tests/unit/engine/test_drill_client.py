"""What can be asked from outside: only where somebody listens for others."""

from __future__ import annotations

import pytest

from hotsync.engine.drill.client import Asking, open_ports

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 20 1 0000 100 0 0 10 0
   1: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1 0000 100 0 0 10 0
   2: 0100004D:0050 6400004D:C000 01 00000000:00000000 00:00000000 00000000     0        0 22 1 0000 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00 0 0 0 30 1
   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00 0 0 0 31 1
   2: 0000000000000000FFFF00000100000A:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00 0 0 0 32 1
"""


def test_ports_of_the_loopback_and_connections_are_none() -> None:
    assert open_ports([TCP, TCP6], "192.0.2.1") == {22, 25, 443}


def test_what_listens_for_ipv4_alone_is_heard_by_nobody_who_comes_by_ipv6() -> None:
    assert open_ports([TCP, TCP6], "2001:db8::1") == {443}


def test_nobody_listening_is_no_port() -> None:
    assert open_ports(["", TCP.splitlines()[0]], "192.0.2.1") == frozenset()


@pytest.mark.parametrize(("address", "shown"), [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]")])
def test_an_address_in_a_url_says_where_it_ends(address: str, shown: str) -> None:
    assert Asking(address, frozenset()).in_url == shown
