from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.agent.heartbeat import LONGEST_TOLD_WAIT, seconds_to_wait
from hotsync.errors import (
    AlreadyPaired,
    ClockSkew,
    EpochReleased,
    Held,
    HotSyncError,
    NoSpace,
    OtherProtocol,
    PairingSlowed,
    PeerBusy,
    PeerRefused,
    ProtocolError,
    StaleEpoch,
    WrongPassword,
)
from hotsync.transport.messages import parse_message
from hotsync.transport.unproven import LONGEST_WAIT, REFUSALS, from_anybody, refusal

WORDS = "root logged in"


def heard(code: str, **facts: object) -> HotSyncError:
    body = {"type": "error", "protocol": 1, "epoch": 0, "code": code, "sentence": WORDS, "hint": WORDS, "facts": facts}
    with pytest.raises(HotSyncError) as told:
        parse_message(json.dumps(body).encode(), "10.0.0.2")
    return from_anybody(told.value, "10.0.0.2")


@pytest.mark.parametrize("kind", [StaleEpoch, EpochReleased, Held, ProtocolError, HotSyncError])
def test_what_says_more_than_why_pairing_did_not_go_on_says_only_that_it_will_not(kind: type[HotSyncError]) -> None:
    error = heard(kind.code, ours=0, theirs=99, reason=WORDS)
    assert type(error) is PeerRefused
    assert WORDS not in error.sentence + error.hint
    assert error.facts["told"] == kind.code or kind is HotSyncError


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        (WrongPassword, {"address": WORDS}, "Pairing with 10.0.0.2 failed: the two passwords differ."),
        (AlreadyPaired, {"address": WORDS}, "10.0.0.2 is paired with another certificate already."),
        (PeerBusy, {"reason": WORDS}, "The peer is busy: another pairing is going on"),
        (ClockSkew, {"seconds": 7200}, "The clocks of the two servers differ by 7200 seconds."),
        (OtherProtocol, {"ours": 2, "theirs": 1}, "The peer speaks protocol 2, this server 1."),
        (NoSpace, {"needed": 7, "free": WORDS}, "The SLAVE lacks space: 7 bytes needed, 0 free."),
    ],
)
def test_what_pairing_may_end_with_keeps_its_name_and_its_numbers(
    kind: type[HotSyncError], facts: dict[str, object], sentence: str
) -> None:
    error = heard(kind.code, **facts)
    assert type(error) is kind
    assert (error.sentence, error.hint) == (sentence, kind.hint)


@pytest.mark.parametrize("reason", REFUSALS)
def test_the_reasons_why_a_server_does_not_pair_are_the_same_on_both_sides(reason: str) -> None:
    made = refusal(reason)
    told = heard(made.code, **made.facts)
    assert (told.sentence, told.hint) == (made.sentence, made.hint)


@given(st.floats(allow_nan=True) | st.integers(-(10**30), 10**30) | st.booleans() | st.text())
def test_nobody_makes_the_master_wait_for_long(seconds: object) -> None:
    told = PairingSlowed(address="x", failures=seconds, seconds=seconds, told_by_peer=True)
    error = from_anybody(told, "10.0.0.2")
    assert isinstance(error, PairingSlowed)
    wanted = error.facts["seconds"]
    assert isinstance(wanted, int)
    assert 0 <= wanted <= LONGEST_WAIT
    assert math.isfinite(seconds_to_wait(error, 1.0))
    assert 1.0 <= seconds_to_wait(error, 1.0) <= LONGEST_TOLD_WAIT


def test_what_this_server_counted_itself_is_waited_for() -> None:
    assert seconds_to_wait(PairingSlowed(address="x", failures=20, seconds=3600), 1.0) == 3600
    assert seconds_to_wait(WrongPassword(address="x"), 1.5) == 1.5


def test_what_is_our_own_stays_as_it_is() -> None:
    error = ProtocolError(reason="a message is not JSON")
    assert from_anybody(error, "x") is error
