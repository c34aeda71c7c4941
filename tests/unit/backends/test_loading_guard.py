from __future__ import annotations

from hotsync.backends.intruders import parse_listeners
from hotsync.backends.loading_guard import TABLE, open_ports, render_rules
from hotsync.backends.nftables import render_removal

LISTENING = """\
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=70,fd=13))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=90,fd=3))
tcp LISTEN 0 80 10.77.0.1:3306 0.0.0.0:* users:(("mariadbd",pid=300,fd=20))
tcp LISTEN 0 200 [::]:5432 [::]:* users:(("postgres",pid=310,fd=6))
tcp LISTEN 0 128 [::]:273 [::]:* users:(("hotsyncd",pid=80,fd=9))
"""


def test_what_listened_stays_open_and_a_database_server_that_is_up_already_does_not() -> None:
    assert open_ports(parse_listeners(LISTENING)) == {22, 273}


def test_new_connections_are_dropped_after_all_that_is_allowed() -> None:
    lines = [line.strip() for line in render_rules({273, 22}).splitlines()]
    chain = lines[lines.index('iifname "lo" accept') :]
    assert chain[1:3] == ["tcp dport { 22, 273 } accept", "tcp flags & (syn | ack) == syn drop"]
    assert "accept" not in "".join(chain[2:])
    assert render_rules(()).startswith(render_removal(TABLE))
