"""What of a MASTER still answers, asked over the real network stack."""

from __future__ import annotations

import socket
from contextlib import closing

from hotsync.engine.silence import signs_of_life

THERE = "127.0.0.77"
"""A place of the loopback that no interface is given: what a test needs of another server."""


def listener() -> socket.socket:
    made = socket.create_server((THERE, 0))
    made.settimeout(0)
    return made


def test_a_service_that_answers_is_a_sign_of_life_and_a_closed_port_is_none() -> None:
    with closing(listener()) as service, closing(listener()) as gone:
        port, closed = service.getsockname()[1], gone.getsockname()[1]
        gone.close()
        signs = signs_of_life(THERE, closed, (), (port, closed))
        assert f"a service answers at {THERE} port {port}" in signs
        assert f"{THERE} refuses connections to port {closed}, so it is on" in signs
        assert not any(f"a service answers at {THERE} port {closed}" in sign for sign in signs)


def test_a_server_that_does_not_exist_gives_no_sign() -> None:
    assert signs_of_life("", 1, ()) == ()
