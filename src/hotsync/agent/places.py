"""Places for connections that come in: the peer's are kept for who has shown its certificate.

Who has not yet shown it gets one of a few others. When those are taken, the oldest is cut off and makes room: a flood
of silent callers ends itself, and whoever can prove itself has done so before it would be its turn.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from hotsync.errors import ConnectionEnded

MAX_CONNECTIONS = 32
MAX_UNPROVEN = 16
"""At once from where the peer is known to call from: what it opens at once is more than one connection."""
MAX_STRANGERS = 8
MAX_OF_A_STRANGER = 2


class Place:
    """One connection's place. `known`: it came from an address of the peer's."""

    def __init__(self, places: Places, raw: socket.socket, address: str, *, known: bool) -> None:
        self.address = address
        self.known = known
        self._places = places
        # securing a connection moves its descriptor to another object: this one stays, and can be cut meanwhile
        self._twin = socket.socket(fileno=os.dup(raw.fileno()))

    def prove(self) -> bool:
        """The pinned certificate was shown: take one of the peer's places; return whether there was one.

        Raise ConnectionEnded if it was cut off before.
        """
        return self._places.prove(self)

    def leave(self) -> None:
        """Give the place up; may be said twice."""
        self._places.leave(self)

    def cut(self) -> None:
        """End the connection under whoever is busy with it."""
        with suppress(OSError):
            self._twin.shutdown(socket.SHUT_RDWR)

    def forget_line(self) -> None:
        """Let go of the connection without ending it."""
        self._twin.close()


class Places:
    """All places. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unproven: list[Place] = []
        self._proven: set[Place] = set()

    def enter(self, raw: socket.socket, address: str, *, known: bool) -> tuple[Place, Place | None]:
        """Given a connection, return its place, and whose connection was cut off for it; raise OSError."""
        place = Place(self, raw, address, known=known)
        with self._lock:
            oldest = self._in_the_way(address, known=known)
            if oldest is not None:
                self._unproven.remove(oldest)
                oldest.cut()
            self._unproven.append(place)
        return place, oldest

    def _in_the_way(self, address: str, *, known: bool) -> Place | None:
        alike = [place for place in self._unproven if place.known == known]
        if not known:
            own = [place for place in alike if place.address == address]
            if len(own) >= MAX_OF_A_STRANGER:
                return own[0]
        return alike[0] if len(alike) >= (MAX_UNPROVEN if known else MAX_STRANGERS) else None

    def cut_unproven(self) -> None:
        """End all connections on which nothing has been proven yet."""
        with self._lock:
            for place in self._unproven:
                place.cut()

    def prove(self, place: Place) -> bool:
        """Move a place to those of the peer; return whether there was one. Raise ConnectionEnded if it was cut off."""
        with self._lock:
            if place not in self._unproven:
                raise ConnectionEnded(reason="others came while it was being secured")
            if len(self._proven) >= MAX_CONNECTIONS:
                return False
            self._unproven.remove(place)
            self._proven.add(place)
            place.forget_line()
            return True

    def leave(self, place: Place) -> None:
        """Give a place up."""
        with self._lock:
            self._proven.discard(place)
            if place in self._unproven:
                self._unproven.remove(place)
            place.forget_line()
