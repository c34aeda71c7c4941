"""What may be said to a MASTER's MariaDB through a stream: what a replica says that logs in as ours, nothing else.

The SLAVE is the peer, but not the MASTER's administrator: it gets every change, and must not ask by SQL, set anything,
or log in as somebody else. The account can do nothing but replicate; beyond that, each packet of the client's is looked
at before the server sees it. What the server answers goes through as it is.
"""

from __future__ import annotations

import re

from hotsync.errors import StreamRefused

ACCOUNT = "hotsync_stream"
CONNECTS_AS = "nobody"
"""Who connects to the server's socket: an account that the server would let in by itself has no business there."""

_LOGIN = b"mysql_native_password"
_LONGEST = 16 * 1024
"""No packet of a replica's is nearly as long; nothing longer is ever held."""

_PROTOCOL_41, _SECURE, _PLUGIN, _ATTRIBUTES, _LENGTHS = 0x200, 0x8000, 0x80000, 0x100000, 0x200000
_NEEDED = _PROTOCOL_41 | _SECURE
_NAMED = {0x20: "it asks for compression", 0x800: "it asks for encryption, which the stream has already"}
_HARMLESS = (
    0x1 | 0x2 | 0x4 | 0x10 | 0x100 | 0x400 | 0x1000 | 0x2000 | 0x20000 | 0x40000 | 0x400000 | 0x800000 | 0x1000000
    | 0x20000000 | 0x40000000 | 0x80000000
)  # fmt: skip
_ALLOWED = _NEEDED | _PLUGIN | _ATTRIBUTES | _LENGTHS | _HARMLESS
# without the flag 0x1 four bytes more are MariaDB's own: progress, bulk, two that are about columns
_MARIADBS = 0x1 | 0x4 | 0x8 | 0x10

_QUIT, _QUERY, _PING, _DUMP, _REGISTER = 0x01, 0x03, 0x0E, 0x12, 0x15
_DUMP_FLAGS = 0x1 | 0x2
_QUERIES = tuple(
    re.compile(pattern)
    for pattern in (
        r"SELECT UNIX_TIMESTAMP\(\)",
        r"SET NAMES [a-z0-9_]{1,32}",  # the client library's own, when it connects again
        r"SHOW VARIABLES LIKE 'SERVER_ID'",
        r"SELECT @@GLOBAL\.(?:gtid_domain_id|COLLATION_SERVER|TIME_ZONE)",
        r"SET @master_heartbeat_period= ?\d{1,20}",
        r"SET @master_binlog_checksum= ?@@global\.binlog_checksum",
        r"SELECT @master_binlog_checksum",
        r"SET @mariadb_slave_capability=\d",
        r"SET @slave_connect_state='[0-9,-]*'",
        r"SET @slave_gtid_(?:strict_mode|ignore_duplicates)=[01]",
    )
)
_REFUSED, _NOT_NOW = 1227, 1053  # ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_SERVER_SHUTDOWN


class Guard:
    """Looks at what a client says; one for each connection."""

    def __init__(self) -> None:
        self._held = b""
        self._logged_in = False
        self._follows = False
        self._sequence = 0

    def sieve(self, data: bytes) -> bytes:
        """Given the next bytes of the client's, return those that the server may see; raise StreamRefused."""
        passed = bytearray()
        self._held += data
        while len(self._held) >= 4:
            length, self._sequence = int.from_bytes(self._held[:3], "little"), self._held[3]
            if not 0 < length <= _LONGEST:
                raise StreamRefused(reason="a packet is too long" if length else "a packet is empty")
            if self._sequence != (0 if self._logged_in else 1):
                raise StreamRefused(reason="a packet comes out of its turn")
            if len(self._held) < 4 + length:
                break
            self._check(self._held[4 : 4 + length])
            passed += self._held[: 4 + length]
            self._held = self._held[4 + length :]
        return bytes(passed)

    def refusal(self, sentence: str) -> bytes:
        """Return an error as the server would answer the packet that was looked at last."""
        return error_packet(sentence, (self._sequence + 1) % 256)

    def _check(self, packet: bytes) -> None:
        if not self._logged_in:
            check_login(packet)
            self._logged_in = True
        elif self._follows and packet[0] != _QUIT:
            raise StreamRefused(reason="a command is given while changes are sent")
        else:
            check_command(packet)
            self._follows = packet[0] == _DUMP


def check_login(packet: bytes) -> None:
    """Given a client's answer to the server's greeting, raise StreamRefused unless it is our account, plainly."""
    flags = int.from_bytes(packet[:4], "little")
    for flag, reason in _NAMED.items():
        if flags & flag:
            raise StreamRefused(reason=reason)
    odd = flags & ~_ALLOWED
    if odd or flags & _NEEDED != _NEEDED or len(packet) < 34:
        raise StreamRefused(reason=f"it logs in with the wishes {odd:#x}" if odd else "its login is malformed")
    own = int.from_bytes(packet[28:32], "little")
    if any(packet[9:28]) or own & ~_MARIADBS or (own and flags & 0x1):
        raise StreamRefused(reason="its login is malformed")
    user, _, rest = packet[32:].partition(b"\0")
    if user != ACCOUNT.encode():
        raise StreamRefused(reason=f"it logs in as {user[:80].decode('utf-8', 'replace')!a}, not as {ACCOUNT}")
    if not rest or rest[0] > 250 or len(rest) < 1 + rest[0]:
        raise StreamRefused(reason="its login is malformed")
    rest = rest[1 + rest[0] :]
    if flags & _PLUGIN:
        plugin, end, _ = rest.partition(b"\0")
        if plugin != _LOGIN or not end:
            raise StreamRefused(reason=f"it logs in by {plugin[:60].decode('utf-8', 'replace')!a}")


def check_command(packet: bytes) -> None:
    """Given a command packet, raise StreamRefused unless a replica gives it."""
    command, body = packet[0], packet[1:]
    if command == _QUERY:
        text = body.decode("utf-8", "replace")
        if not any(pattern.fullmatch(text) for pattern in _QUERIES):
            raise StreamRefused(reason=f"the statement {text[:100]!a} is given")
    elif command == _DUMP:
        if len(body) < 10 or int.from_bytes(body[4:6], "little") & ~_DUMP_FLAGS:
            raise StreamRefused(reason="it asks for changes in an odd way")
    elif command not in (_QUIT, _PING, _REGISTER):
        raise StreamRefused(reason=f"the command {command:#04x} is given")


def error_packet(sentence: str, sequence: int) -> bytes:
    """Return an error as a MariaDB server says it to a client that it talks with."""
    return _packet(_REFUSED.to_bytes(2, "little") + b"#42000" + _text(sentence), sequence)


def turned_away(sentence: str) -> bytes:
    """Return an error as a MariaDB server says it instead of its greeting."""
    return _packet(_NOT_NOW.to_bytes(2, "little") + _text(sentence), 0)


def _text(sentence: str) -> bytes:
    return sentence.encode("utf-8", "replace")[:400]


def _packet(body: bytes, sequence: int) -> bytes:
    return (len(body) + 1).to_bytes(3, "little") + bytes((sequence, 0xFF)) + body
