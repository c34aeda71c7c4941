"""Of a connection that its other end resets before it is secured nothing stays open, and nobody calls it a bug."""

from __future__ import annotations

import gc
import socket
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.errors import ConnectionEnded, PeerUnreachable
from hotsync.system.paths import Paths
from hotsync.transport.tls import accept_tls, connect_tls, load_identity

pytestmark = pytest.mark.contract


@pytest.fixture
def reset() -> Iterator[socket.socket]:
    """One end of a connection of which the other end was closed with a reset, without a goodbye."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield ours
        assert ours.fileno() == -1


def test_a_listener_that_resets_the_connection_is_one_that_is_not_reached(reset: socket.socket) -> None:
    with pytest.raises(PeerUnreachable):
        connect_tls(reset, "127.0.0.1", 273, None)


def test_a_dialler_that_resets_the_connection_has_only_looked_whether_somebody_listens(
    reset: socket.socket, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionEnded):
        accept_tls(reset, load_identity(Paths(tmp_path)), "", "127.0.0.1")


def test_what_is_reset_while_its_tls_side_is_made_stays_open_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the library's two looks at the other end: the first still finds it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    detach = socket.socket.detach

    def taken_over(sock: socket.socket) -> int:
        theirs.close()
        return detach(sock)

    monkeypatch.setattr(socket.socket, "detach", taken_over)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(PeerUnreachable):
            connect_tls(ours, "127.0.0.1", 273, None)
        gc.collect()
    assert warned == []
