"""Frames and messages: arbitrary bytes are refused, never a crash; limits hold before anything is kept."""

from __future__ import annotations

import io
import json
import socket
import struct
from contextlib import suppress
from functools import partial
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.errors import (
    ClockSkew,
    CommandFailed,
    HotSyncError,
    NoSpace,
    NotPaired,
    OtherProtocol,
    PeerRefused,
    PeerSilent,
    ProtocolError,
    StaleEpoch,
    WrongPeer,
)
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.generation import DatasetPoint
from hotsync.model.loss import DatabaseMoment, Fate, LossStatement, Lost, Tally
from hotsync.transport.messages import (
    PROTOCOL,
    Alive,
    Committed,
    Loss,
    Message,
    Open,
    Trouble,
    Working,
    error_of,
    parse_message,
    trouble,
)
from hotsync.transport.parts import Dataset, Stated
from hotsync.transport.values import plain
from hotsync.transport.wire import (
    BYTES_KIND,
    JSON_KIND,
    MAX_BYTES,
    MAX_FIRST_JSON,
    MAX_JSON,
    Channel,
    parse_head,
    render_frame,
)
from tests.support.sizes import examples


class Ticking:
    """A clock that moves only when it is looked at."""

    def __init__(self, step: float = 0.0) -> None:
        self.time = 0.0
        self.step = step

    def now(self) -> float:
        return self.time

    def now_ns(self) -> int:
        return round(self.time * 1e9)

    def monotonic(self) -> float:
        self.time += self.step
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Line:
    """A socket that plays back bytes, so many at once."""

    def __init__(self, data: bytes, at_once: int = 1 << 20) -> None:
        self.source = io.BytesIO(data)
        self.at_once = at_once
        self.sent = b""
        self.largest_wish = 0

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def recv(self, count: int) -> bytes:
        self.largest_wish = max(self.largest_wish, count)
        return self.source.read(min(count, self.at_once))

    def sendall(self, data: bytes) -> None:
        self.sent += data


def channel(data: bytes, at_once: int = 1 << 20, step: float = 0.0) -> Channel:
    return Channel(cast("socket.socket", Line(data, at_once)), "10.0.0.2", Ticking(step), 10)


@given(st.sampled_from([JSON_KIND, BYTES_KIND]), st.binary(max_size=2000), st.integers(1, 50))
def test_a_frame_comes_back_however_the_line_cuts_it(kind: bytes, body: bytes, at_once: int) -> None:
    assert channel(render_frame(kind, body), at_once).receive("test") == (kind, body)


@given(st.binary(max_size=300))
@settings(max_examples=examples(200))
def test_arbitrary_bytes_are_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(HotSyncError):
        list(iter(partial(channel(data, 7).receive_message, "test"), None))


@pytest.mark.parametrize(
    ("kind", "length", "limit"),
    [
        (b"J", MAX_JSON + 1, MAX_JSON),
        (b"J", MAX_FIRST_JSON + 1, MAX_FIRST_JSON),
        (b"B", MAX_BYTES + 1, MAX_JSON),
        (b"J", 2**32 - 1, MAX_JSON),
        (b"j", 1, MAX_JSON),
        (b"\0", 0, MAX_JSON),
    ],
)
def test_a_head_beyond_its_limit_is_refused_before_the_body(kind: bytes, length: int, limit: int) -> None:
    with pytest.raises(ProtocolError):
        parse_head(struct.pack("!cI", kind, length), limit)


def test_no_more_than_a_frame_is_asked_of_the_line_at_once() -> None:
    line = channel(render_frame(JSON_KIND, b"x" * MAX_JSON) + b"rest", 100_000)
    line.receive("test")
    assert cast("Line", line.socket).largest_wish <= MAX_BYTES
    assert cast("Line", line.socket).source.read() == b"rest"


def test_a_frame_that_drips_in_is_silence_although_bytes_come() -> None:
    with pytest.raises(PeerSilent) as silent:
        channel(render_frame(JSON_KIND, b"x" * 1000), at_once=1, step=0.1).receive("it dripped", within=5)
    assert silent.value.facts == {"seconds": 5, "phase": "it dripped"}


def test_our_own_frames_keep_the_limits_too() -> None:
    with pytest.raises(ValueError, match="too long"):
        render_frame(BYTES_KIND, b"x" * (MAX_BYTES + 1))


def test_a_stream_ends_with_an_empty_frame_and_at_its_limit() -> None:
    frames = render_frame(BYTES_KIND, b"ab") + render_frame(BYTES_KIND, b"c") + render_frame(BYTES_KIND, b"")
    assert b"".join(channel(frames).receive_stream("test", 3)) == b"abc"
    with pytest.raises(ProtocolError, match="longer than 2"):
        list(channel(frames).receive_stream("test", 2))


def test_an_error_in_the_middle_of_a_stream_is_raised_as_what_it_is() -> None:
    told = trouble(NoSpace(needed=2, free=1), 0).render()
    frames = render_frame(BYTES_KIND, b"ab") + render_frame(JSON_KIND, told)
    with pytest.raises(NoSpace):
        list(channel(frames).receive_stream("test", 100))


def test_working_puts_off_the_answer_but_is_none() -> None:
    working = render_frame(JSON_KIND, Working(epoch=0).render())
    made = Committed(epoch=0, generation=3, digest=EMPTY_DIGEST, committed_at=1.0)
    assert channel(working * 3 + render_frame(JSON_KIND, made.render())).answer(Committed, "test") == made
    with pytest.raises(ProtocolError, match="committed came where alive was due"):
        channel(render_frame(JSON_KIND, made.render())).answer(Alive, "test")


def test_another_protocol_is_named_whatever_else_the_message_holds() -> None:
    with pytest.raises(OtherProtocol) as other:
        parse_message(b'{"type":"something new","protocol":9,"epoch":{"deep":1}}')
    assert other.value.facts == {"theirs": 9, "ours": PROTOCOL}


def opened_with(minutes: str) -> bytes:
    head = '{"type":"open","protocol":1,"epoch":0,"connection":"control","role":"master","host":"m","version":"3"'
    return f'{head},"clock":1.0,"interval_minutes":{minutes}}}'.encode()


@pytest.mark.parametrize("minutes", [0, 15, 1440])
def test_an_interval_is_a_number_of_minutes_within_a_day(minutes: int) -> None:
    first = parse_message(opened_with(str(minutes)))
    assert isinstance(first, Open)
    assert first.interval_minutes == minutes


@pytest.mark.parametrize("minutes", ["1441", "-1", "15.5", '"15"', "true", "null", "1e400"])
def test_any_other_interval_is_refused(minutes: str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(opened_with(minutes))


def test_an_error_is_understood_across_protocols() -> None:
    body = Trouble(epoch=0, code="peer.clock", sentence="s", facts={"seconds": 9}).model_copy(update={"protocol": 9})
    with pytest.raises(ClockSkew, match="differ by 9 seconds"):
        parse_message(body.render())


ERRORS: list[HotSyncError] = [
    NoSpace(needed=2, free=1),
    ClockSkew(seconds=7200),
    StaleEpoch(ours=1, theirs=2),
    PeerRefused(reason="it is busy", hint="Wait."),
    PeerSilent(seconds=3, phase="it was tried"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_both_sides(error: HotSyncError) -> None:
    told = error_of(trouble(error, 0), "10.0.0.2")
    assert (type(told), told.sentence, told.hint) == (type(error), error.sentence, error.hint)
    assert told.facts["told_by_peer"] is True


def test_an_error_about_an_address_names_the_address_as_seen_from_here() -> None:
    assert "10.0.0.2" in error_of(trouble(NotPaired(address="10.0.0.1"), 0), "10.0.0.2").sentence


@pytest.mark.parametrize("name", ["self", "hint"])
def test_a_fact_of_a_name_that_means_something_here_is_left_out(name: str) -> None:
    told = error_of(Trouble(epoch=0, code="peer.refused", sentence="s", hint="h", facts={name: 1, "reason": "r"}), "a")
    assert (told.sentence, told.hint) == ("The peer refused: r", "h")


def test_an_error_of_no_known_code_keeps_its_words() -> None:
    told = error_of(Trouble(epoch=0, code="peer.tomorrow", sentence="Something new.", hint="Upgrade."), "a")
    assert (type(told), told.facts["reason"], told.hint) == (PeerRefused, "Something new.", "Upgrade.")


def test_a_failed_command_does_not_travel_with_its_command_line() -> None:
    error = CommandFailed(program="mysql", status="exit 1", detail="d", line="mysql --secret")
    told = trouble(error, 0)
    assert told.code == "peer.refused"


@given(st.text(max_size=3000))
def test_any_text_becomes_fit_for_a_message(text: str) -> None:
    clean = plain(text)
    Alive(epoch=0, role="slave", clock=0.0, sentence=clean)
    assert len(clean) <= 2000
    assert clean.isprintable()


def test_what_an_error_says_is_made_fit_for_the_wire() -> None:
    error = WrongPeer(address="a\nb", seen="\x1b[2J", pinned="\ud800")
    assert (
        parse_quietly(trouble(error, 0).render()).sentence
        == "the peer shows another certificate (?[2J) than the paired server's (?)."
    )


def parse_quietly(body: bytes) -> HotSyncError:
    try:
        parse_message(body)
    except HotSyncError as error:
        return error
    raise AssertionError("no error came")


def test_a_datasets_note_is_shortened_and_cleaned_on_its_way() -> None:
    point = DatasetPoint("mariadb\n", 1.0, note="x" * 900, streamed=True)
    sent = Dataset.of(point)
    assert (sent.name, len(sent.note)) == ("mariadb?", 500)
    assert (sent.point().taken_at, sent.point().streamed) == (1.0, True)


def every_kind() -> list[type[Message]]:
    return [kind for kind in Message.__subclasses__() if kind.__module__ == "hotsync.transport.messages"]


def test_no_message_takes_more_than_it_names() -> None:
    for kind in every_kind():
        extra = kind.model_config.get("extra")
        assert extra == ("ignore" if kind is Trouble else "forbid"), kind


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(str(kind.model_fields["type"].default) for kind in every_kind())), json_values, st.data())
@settings(max_examples=examples(150))
def test_whatever_stands_in_the_fields_a_message_is_lawful_or_refused(
    name: str, value: object, data: st.DataObject
) -> None:
    fields = ["protocol", "epoch", "generation", "terms", "digest", "clock", "role", "host", "code", "facts", "proof"]
    chosen = data.draw(st.lists(st.sampled_from(fields), max_size=4))
    document = {"type": name, "protocol": 1, "epoch": 0, **dict.fromkeys(chosen, value)}
    with suppress(HotSyncError):
        assert isinstance(parse_message(json.dumps(document).encode()), Message)


@pytest.mark.parametrize(
    "applied",
    [
        {"mariadb/a b": "1 0-1-2"},
        {"../x": "1 0-1-2"},
        {"mariadb/default": "0-1-2; x"},
        {"mariadb/default": "1 " * 2000},
    ],
)
def test_what_a_slave_says_that_its_replicas_applied_is_servers_and_places_or_refused(applied: dict[str, str]) -> None:
    good = {"type": "alive", "protocol": 1, "epoch": 0, "role": "slave", "clock": 1.0}
    place = {"mariadb/default": "77 0-77-5,1-77-2"}
    message = parse_message(json.dumps({**good, "applied": place}).encode())
    assert isinstance(message, Alive)
    assert message.applied == place
    with pytest.raises(ProtocolError):
        parse_message(json.dumps({**good, "applied": applied}).encode())


def test_a_statement_of_what_would_be_lost_comes_as_it_went() -> None:
    paths = (Lost("data/ä\\x0a", Fate.NEW, 5), Lost("data", Fate.CHANGED, 0, folder=True))
    servers = (DatabaseMoment("mariadb/default", 5.0, streamed=True),)
    said = LossStatement(7, EMPTY_DIGEST, 9.5, 1, 5, 1, 2, 3, 1, 8.5, paths, servers)
    message = parse_message(Loss(epoch=1, stated=Stated.of(said)).render())
    assert isinstance(message, Loss)
    assert message.stated.statement() == said


@pytest.mark.parametrize("name", ["a" * 4000, "\udcff" * 1000, "\n\x1b" * 500, "ä€" * 600, '"\\' * 2000])
def test_the_longest_statement_fits_into_one_message(name: str) -> None:
    tally = Tally()
    for number in range(6000):
        tally.add(f"{name}{number}"[: 4096 if number % 2 else 60], Fate.PERHAPS, 1 << 62)
    stated = Stated.of(tally.statement(7, EMPTY_DIGEST, -5.0))
    assert len(Loss(epoch=1, stated=stated).render()) < MAX_JSON
    assert len(stated.paths) > 20
    assert stated.known_until == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"paths": [{"path": "a\u001b[2J", "fate": "new", "bytes": 0, "folder": False}]},
        {"paths": [{"path": "a\u202eb", "fate": "new", "bytes": 0, "folder": False}]},
        {"paths": [{"path": "a", "fate": "gone", "bytes": 0, "folder": False}]},
        {"paths": [{"path": "a", "fate": "new", "bytes": 0, "folder": False}] * 5001},
        {"files": -1},
        {"known_until": 1e300},
        {"digest": "short"},
        {"more": 1},
    ],
)
def test_a_statement_that_could_mislead_whoever_reads_it_is_refused(change: dict[str, object]) -> None:
    stated = json.loads(Stated.of(LossStatement(7, EMPTY_DIGEST, 9.5)).model_dump_json()) | change
    body = {"type": "loss", "protocol": PROTOCOL, "epoch": 1, "stated": stated}
    with pytest.raises(ProtocolError):
        parse_message(json.dumps(body).encode())
