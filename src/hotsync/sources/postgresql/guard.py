"""What may be said to a MASTER's PostgreSQL through a stream: physical replication by the owner, nothing else.

The SLAVE is the peer, but not the MASTER's administrator: it gets a copy of all data, and must not ask by SQL, set
anything, write a file on the MASTER (BASE_BACKUP can), or make slots that nobody watches. So each message of the
client's is looked at before the server sees it; what the server answers goes through as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hotsync.errors import StreamRefused

SLOT = "hotsync"
REFUSED, NOT_NOW = "28000", "57P03"  # invalid_authorization_specification, cannot_connect_now

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_PROTOCOL = 3
_LONGEST_STARTUP = 10_000  # the server's own limit
_LONGEST_COMMAND = 4096
_LONGEST_COPY = 1 << 20
_ON = frozenset({"true", "on", "yes", "1"})
_KEYS = frozenset({"user", "replication", "database", "application_name", "client_encoding"})

_NAME = f'(?:{SLOT}|"{SLOT}")'
_BACKUP_WORD = (
    r"(?:LABEL '[^'\\]*'|PROGRESS|CHECKPOINT '(?:fast|spread)'|FAST|WAIT [01]|NOWAIT|WAL|MANIFEST '[a-z-]+'"
    r"|MANIFEST_CHECKSUMS '[A-Z0-9a-z]+'|TABLESPACE_MAP|MAX_RATE \d+|TARGET 'client')"
)
_COMMANDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"IDENTIFY_SYSTEM",
        r"SHOW [a-z_]+",
        r"TIMELINE_HISTORY \d+",
        rf"CREATE_REPLICATION_SLOT {_NAME} PHYSICAL(?: RESERVE_WAL| \( ?RESERVE_WAL ?\))?",
        rf"START_REPLICATION SLOT {_NAME} (?:PHYSICAL )?[0-9A-F]+/[0-9A-F]+(?: TIMELINE \d+)?",
        rf"BASE_BACKUP \( ?{_BACKUP_WORD}(?: ?, *{_BACKUP_WORD})* ?\)",
        rf"BASE_BACKUP(?: +{_BACKUP_WORD})+",
    )
)


def read_startup(read: Callable[[int], bytes], say: Callable[[bytes], None], owner: str) -> bytes:
    """Given how to read exactly so many bytes and how to answer, return the client's startup packet, which is lawful.

    Encryption, which the stream has already, is declined. Raise StreamRefused for whatever is no physical replication
    as `owner`; what `read` raises goes through.
    """
    for _ in range(3):
        head = read(4)
        length = int.from_bytes(head)
        if not 8 <= length <= _LONGEST_STARTUP:
            raise StreamRefused(reason="it does not begin as PostgreSQL's protocol does")
        body = read(length - 4)
        code = int.from_bytes(body[:4])
        if length == 8 and code in (_SSL_REQUEST, _GSS_REQUEST):
            say(b"N")
            continue
        check_startup(code, body[4:], owner)
        return head + body
    raise StreamRefused(reason="it asks for encryption again and again")


def in_english(startup: bytes) -> bytes:
    """Given a lawful startup packet, return it with the wish that the server says its errors as we know them."""
    body = startup[4:-1] + b"lc_messages\0C\0\0"
    return (len(body) + 4).to_bytes(4) + body


def check_startup(code: int, parameters: bytes, owner: str) -> None:
    """Given what a startup packet says, raise StreamRefused unless it asks for physical replication as `owner`."""
    if code >> 16 != _PROTOCOL:
        raise StreamRefused(reason=f"protocol {code >> 16}.{code & 0xFFFF} is none of replication's")
    found: dict[str, str] = {}
    for key, value in _pairs(parameters):
        if key in found or key not in _KEYS:
            raise StreamRefused(reason=f"the parameter {key[:60]!a} is given")
        found[key] = value
    if found.get("replication") not in _ON:
        raise StreamRefused(reason="it does not ask for replication=true")
    if found.get("user") != owner:
        raise StreamRefused(reason=f"it is not the cluster's owner {owner} who asks")


def _pairs(parameters: bytes) -> Iterator[tuple[str, str]]:
    """Yield key and value of each parameter; raise StreamRefused unless the list is whole and ends the packet."""
    words = parameters.split(b"\0")
    # each word has its zero, and one more ends the list
    if len(words) < 2 or words[-1] or words[-2] or len(words) % 2:
        raise StreamRefused(reason="its parameters are malformed")
    decoded = [word.decode("utf-8", "surrogateescape") for word in words[:-2]]
    for key, value in zip(decoded[::2], decoded[1::2], strict=True):
        if not key:
            raise StreamRefused(reason="its parameters are malformed")
        yield key, value


def check_command(text: str) -> None:
    """Given a command of the client's, raise StreamRefused unless physical replication needs it."""
    command = text.strip().removesuffix(";").rstrip()
    if not any(pattern.fullmatch(command) for pattern in _COMMANDS):
        raise StreamRefused(reason=f"the command {command[:100]!a} is given")


def error_response(sentence: str, code: str = REFUSED) -> bytes:
    """Return an error as a PostgreSQL server says it to its client."""
    text = sentence.replace("\0", "?")
    fields = b"".join(
        letter + value.encode("utf-8", "replace") + b"\0"
        for letter, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", text))
    )
    return b"E" + (len(fields) + 5).to_bytes(4) + fields + b"\0"


class Guard:
    """Looks at what a client says after its startup packet; one for each connection."""

    def __init__(self) -> None:
        self._held = b""
        self._passing = 0

    def sieve(self, data: bytes) -> bytes:
        """Given the next bytes of the client's, return those that the server may see; raise StreamRefused."""
        passed = bytearray()
        self._held += data
        while self._held:
            if self._passing:
                part = self._held[: self._passing]
                self._passing -= len(part)
            else:
                part = self._message()
                if not part:
                    break
            passed += part
            self._held = self._held[len(part) :]
        return bytes(passed)

    def _message(self) -> bytes:
        """Return what may pass of the message that begins here, nothing if more of it must come first."""
        if len(self._held) < 5:
            return b""
        kind, length = self._held[:1], int.from_bytes(self._held[1:5])
        if kind == b"d":  # copied data: how far the standby is
            if not 4 <= length <= _LONGEST_COPY:
                raise StreamRefused(reason="a message is too long")
            self._passing = length - 4
            return self._held[:5]
        if kind not in (b"Q", b"c", b"f", b"X"):
            raise StreamRefused(reason=f"a message of kind {kind!a} is sent")
        if not 4 <= length <= _LONGEST_COMMAND:
            raise StreamRefused(reason="a message is too long")
        if len(self._held) < 1 + length:
            return b""
        body = self._held[5 : 1 + length]
        if kind == b"Q":
            if body[-1:] != b"\0" or b"\0" in body[:-1]:
                raise StreamRefused(reason="a command is malformed")
            check_command(body[:-1].decode("utf-8", "replace"))
        return self._held[: 1 + length]
