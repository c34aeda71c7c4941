"""Every message between the two hosts, as it may be and in no other way; and errors as they travel."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from hotsync.errors import CommandFailed, HotSyncError, OtherProtocol, OtherRsync, PeerRefused, ProtocolError
from hotsync.transport.handover_messages import AskHandOver, HandOverState
from hotsync.transport.message import PROTOCOL as PROTOCOL
from hotsync.transport.message import Message as Message
from hotsync.transport.parts import Dataset, Stated
from hotsync.transport.rsync import RsyncTerms, RsyncVersion
from hotsync.transport.values import (
    MOST,
    Code,
    Digest,
    Ip,
    IpPrefix,
    LinkLocal,
    Moment,
    Name,
    Number,
    Octets,
    Position,
    Role,
    StreamName,
    Version,
    Words,
    plain,
)

MOST_LINES = 2000
"""Of a runbook."""


class Open(Message):
    """The first message of a connection: what it is for and who calls; `again`: a transfer repeats what changed.

    `interval_minutes`: on a control connection, how often the MASTER means to send (0: not told). `stream`: the dataset
    that a stream is for. `released`: the epoch of a promotion of the caller's that was undone (0: none).
    """

    type: Literal["open"] = "open"
    connection: Literal["control", "bulk", "stream", "pairing"]
    role: Role
    host: Name
    version: Version
    clock: Moment
    generation: Number = 0
    again: bool = False
    interval_minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    stream: StreamName = ""
    released: Number = 0
    link_local: LinkLocal = ""


class Welcome(Message):
    """The answer to a control connection: who answers and what it holds (nothing, on a MASTER)."""

    type: Literal["welcome"] = "welcome"
    role: Role
    host: Name
    version: Version
    clock: Moment
    link_local: LinkLocal = ""
    generation: Number = 0
    digest: Digest
    free_bytes: Number = 0
    rsync: RsyncVersion | None = None
    staging: Number = 0


class Begin(Message):
    """A generation is about to be sent; its planned changeset follows as bytes."""

    type: Literal["begin"] = "begin"
    generation: Annotated[int, Field(ge=1, le=MOST)]
    base_digest: Digest
    expected_bytes: Number
    expected_files: Number
    terms: RsyncTerms


class Ready(Message):
    """The staging is there; `present` planned entries lie in it already and need not travel again."""

    type: Literal["ready"] = "ready"
    generation: Number
    present: Number = 0


class BulkReady(Message):
    """From here on the connection is rsync's until it closes."""

    type: Literal["bulk_ready"] = "bulk_ready"


class StreamBegin(Message):
    """On a stream that waited: somebody on the SLAVE wants to speak to the dataset's server."""

    type: Literal["stream_begin"] = "stream_begin"


class StreamReady(Message):
    """From here on the connection is the database server's own protocol until it closes."""

    type: Literal["stream_ready"] = "stream_ready"


class Commit(Message):
    """Make what was sent the next generation; the final changeset follows as bytes."""

    type: Literal["commit"] = "commit"
    generation: Annotated[int, Field(ge=1, le=MOST)]
    digest: Digest
    collected_at: Moment
    datasets: Annotated[tuple[Dataset, ...], Field(max_length=2000)] = ()


class Committed(Message):
    """The generation is there for good."""

    type: Literal["committed"] = "committed"
    generation: Number
    digest: Digest
    committed_at: Moment


class Confirm(Message):
    """A run found nothing changed since this generation; `datasets` are as that run collected them."""

    type: Literal["confirm"] = "confirm"
    generation: Number
    datasets: Annotated[tuple[Dataset, ...], Field(max_length=2000)] = ()


class Confirmed(Message):
    """Its age counts from now."""

    type: Literal["confirmed"] = "confirmed"
    generation: Number
    confirmed_at: Moment


class GetManifest(Message):
    """Asks for the manifest; bytes answer."""

    type: Literal["get_manifest"] = "get_manifest"


class GetSums(Message):
    """Asks for the sums (SHA-256) of what the files of the tree hold; `sums` and bytes answer."""

    type: Literal["get_sums"] = "get_sums"


class Sums(Message):
    """They are known; they follow as bytes, a line each: a list of a path and its sum."""

    type: Literal["sums"] = "sums"


class Alive(Message):
    """Heartbeat, both ways; from a SLAVE with its readiness.

    `asks`: what have its replicas applied? `applied`: by server, that place in the MASTER's binary log, of good ones.
    `runbook`: the digest of its runbook ("": it has none).
    """

    type: Literal["alive"] = "alive"
    role: Role
    clock: Moment
    verdict: Literal["", "green", "amber", "red"] = ""
    sentence: Words = ""
    asks: bool = False
    applied: Annotated[dict[StreamName, Position], Field(max_length=100)] = Field(default_factory=dict[str, str])
    runbook: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class Loss(Message):
    """What is newer on the MASTER than this generation, as of `known_until`: counted, and the first paths listed.

    `files` are new or changed, of `bytes`, `mails` among them; of `folders` only times or rights differ; `deleted`
    would come back; `perhaps` may be newer, or not. `newest`: the newest change.
    """

    type: Literal["loss"] = "loss"
    stated: Stated


class GetRunbook(Message):
    """Asks a SLAVE for its runbook."""

    type: Literal["get_runbook"] = "get_runbook"


class RunbookPage(Message):
    """The SLAVE's runbook, line by line."""

    type: Literal["runbook_page"] = "runbook_page"
    lines: Annotated[list[Words], Field(max_length=MOST_LINES)]


class GetTerms(Message):
    """From a server that held itself, and that comes back as SLAVE: asks the MASTER what it is to go on from.

    `moves`: from the answer on it moves its data into a replica, so that it cannot serve again by itself.
    """

    type: Literal["get_terms"] = "get_terms"
    moves: bool = False


class Terms(Message):
    """The generation that the MASTER goes on from; the standby addresses that it keeps, and those of production."""

    type: Literal["terms"] = "terms"
    generation: Number
    digest: Digest
    standby: Annotated[list[IpPrefix], Field(max_length=64)] = Field(default_factory=list[str])
    serving: Annotated[list[IpPrefix], Field(max_length=64)] = Field(default_factory=list[str])


class Rejoined(Message):
    """From the SLAVE that came back: it can be called at this address. `alive` answers."""

    type: Literal["rejoined"] = "rejoined"
    address: Ip


class Working(Message):
    """Sent now and then while the answer takes its time, so that silence always means trouble."""

    type: Literal["working"] = "working"


class PairStart(Message):
    """MASTER's half of the password exchange, and the certificate that it wants pinned."""

    type: Literal["pair_start"] = "pair_start"
    certificate: Annotated[str, Field(max_length=8192, pattern=r"^[A-Za-z0-9+/=\n -]+$")]
    link_local: LinkLocal = ""
    secret_part: Octets


class PairReply(Message):
    """SLAVE's half."""

    type: Literal["pair_reply"] = "pair_reply"
    host: Name
    version: Version
    link_local: LinkLocal = ""
    secret_part: Octets


class PairConfirm(Message):
    """MASTER's proof that it knows the password and saw the same conversation."""

    type: Literal["pair_confirm"] = "pair_confirm"
    proof: Octets


class PairConfirmed(Message):
    """SLAVE's proof; it has pinned the MASTER."""

    type: Literal["pair_confirmed"] = "pair_confirmed"
    proof: Octets


Fact = int | float | bool | Words


class Trouble(Message):
    """An error, so that it is the same on both sides. Understood across protocol versions."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["error"] = "error"
    code: Code
    sentence: Words
    hint: Words = ""
    facts: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")], Fact], Field(max_length=16)] = Field(
        default_factory=dict[str, Fact]
    )


_KINDS: dict[object, type[Message]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        Open, Welcome, Begin, Ready, BulkReady, StreamBegin, StreamReady, Commit, Committed, Confirm, Confirmed,
        GetManifest, GetSums, Sums, Alive, Loss, GetRunbook, RunbookPage, Working, AskHandOver, HandOverState,
        GetTerms, Terms, Rejoined,
        PairStart, PairReply, PairConfirm, PairConfirmed,
    )
}  # fmt: skip
M = TypeVar("M", bound=Message)


def parse_message(body: bytes, address: str = "the peer") -> Message:
    """Given the body of a JSON frame from `address`, return the message.

    Raise what the peer's error stands for, OtherProtocol if the peer speaks another one, else ProtocolError.
    """
    try:
        head: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(reason="a message is not JSON") from error
    if not isinstance(head, dict):
        raise ProtocolError(reason="a message is not an object")
    try:
        if head.get("type") == "error":  # pyright: ignore[reportUnknownMemberType]
            raise error_of(Trouble.model_validate_json(body), address)
        protocol: object = head.get("protocol")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        if isinstance(protocol, int) and protocol != PROTOCOL:
            raise OtherProtocol(theirs=min(max(protocol, 0), MOST), ours=PROTOCOL)
        kind = head.get("type")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        if not isinstance(kind, str) or kind not in _KINDS:
            raise ProtocolError(reason="a message is of no known type")
        message = _KINDS[kind].model_validate_json(body)
    except ValidationError as error:
        raise ProtocolError(reason=_first_fault(error)) from error
    return message


def expect(message: Message, kind: type[M]) -> M:
    """Given a message, return it if it is of this kind; raise ProtocolError if it is another."""
    if not isinstance(message, kind):
        raise ProtocolError(reason=f"{name_of(type(message))} came where {name_of(kind)} was due")
    return message


def name_of(kind: type[Message]) -> str:
    """Given a class of messages, return the type that it has on the wire."""
    return str(kind.model_fields["type"].default)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = plain(".".join(str(part) for part in fault["loc"]), 100)
    return f"{where or 'a message'}: {plain(fault['msg'], 200)}"


def trouble(error: HotSyncError, epoch: int) -> Trouble:
    """Given an error, return it as it travels; what it was caused by stays here."""
    facts: dict[str, Fact] = {}
    for name, value in list(error.facts.items())[:16]:
        if name.isidentifier() and name.islower():
            facts[name] = value if isinstance(value, bool | int | float) else plain(str(value), 500)
    code = error.code if not isinstance(error, CommandFailed) else "peer.refused"
    return Trouble(epoch=epoch, code=code, sentence=plain(error.sentence), hint=plain(error.hint), facts=facts)


_RESERVED = frozenset({"self", "hint"})
"""Names that a fact cannot have, since the error's own constructor has them."""


def error_of(message: Trouble, address: str) -> HotSyncError:
    """Given an error as it came from `address`, return it as this side raises it: same class, seen from here."""
    kind = _classes().get(message.code)
    facts = {name: value for name, value in message.facts.items() if name not in _RESERVED}
    if "address" in facts:
        facts["address"] = address
    if kind in (OtherProtocol, OtherRsync):
        facts["ours"], facts["theirs"] = facts.get("theirs", "?"), facts.get("ours", "?")
    error: HotSyncError
    if kind is None:
        error = PeerRefused(reason=message.sentence, hint=message.hint or None)
    else:
        error = kind(hint=message.hint or None, **facts)
    error.facts["told_by_peer"] = True
    return error


def _classes() -> dict[str, type[HotSyncError]]:
    found: dict[str, type[HotSyncError]] = {}
    waiting: list[type[HotSyncError]] = [HotSyncError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if not issubclass(kind, CommandFailed) and kind is not HotSyncError:
            found.setdefault(kind.code, kind)
    return found
