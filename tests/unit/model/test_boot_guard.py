"""What a booting MASTER does, from every set of answers; and ARP as bytes."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from hotsync.backends.network.arp import Arp, decode, encode, encode_probe, rival
from hotsync.model.boot_guard import Answers, decide, decide_claim

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ANSWERS = st.builds(
    Answers,
    st.sampled_from([0, 5]),
    st.booleans(),
    st.sampled_from([(), (("192.0.2.10", "02:00:00:00:00:02"),)]),
    st.sampled_from([(), ("eth0",)]),
    st.just(20.0),
)


@given(ANSWERS, st.booleans())
def test_a_superseded_master_never_starts_and_one_that_its_slave_confirms_always_does(
    answers: Answers, start: bool
) -> None:
    decision = decide(answers, start_without_answer=start)
    if answers.superseded_by:
        assert (decision.start, decision.epoch) == (False, 5)
    elif answers.confirmed:
        assert decision.start
    elif answers.conflicts:
        assert not decision.start
        assert "02:00:00:00:00:02 has 192.0.2.10" in decision.why
    else:
        assert decision.start is start
        assert "did not answer within 20 seconds" in decision.why
    assert decision.epoch in (0, answers.superseded_by)


@given(ANSWERS, st.booleans())
def test_a_server_that_is_being_promoted_takes_no_address_that_somebody_has_whatever_its_master_says(
    answers: Answers, start: bool
) -> None:
    decision = decide_claim(answers, start_without_answer=start)
    if answers.superseded_by:
        assert (decision.start, decision.epoch) == (False, 5)
        assert "MASTER at epoch 5" in decision.why
    elif answers.conflicts:
        assert not decision.start
        assert "02:00:00:00:00:02 has 192.0.2.10" in decision.why
    elif answers.confirmed:
        assert decision.start
    else:
        assert decision.start is start
        assert "did not answer within 20 seconds" in decision.why


def test_that_somebody_else_has_an_address_is_said_although_production_starts() -> None:
    answers = Answers(confirmed=True, conflicts=(("192.0.2.10", "02:00:00:00:00:02"),))
    assert "02:00:00:00:00:02" in decide(answers, start_without_answer=False).why


def test_a_probe_is_the_frame_that_rfc_5227_shows() -> None:
    assert encode_probe(OURS, "192.0.2.10").hex() == (
        "ffffffffffff" "020000000001" "0806" "0001" "0800" "06" "04" "0001"
        "020000000001" "00000000" "000000000000" "c000020a"
    )  # fmt: skip


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.binary(min_size=6, max_size=6), st.booleans(), st.binary())
def test_what_is_encoded_is_read_back_whatever_padding_follows(
    source: object, target: object, mac: bytes, request: bool, padding: bytes
) -> None:
    frame = encode(mac, socket.inet_aton(str(source)), b"\0" * 6, socket.inet_aton(str(target)), request=request)
    assert decode(frame + padding) == Arp(request, mac.hex(":"), str(source), str(target))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_none(frame: bytes) -> None:
    seen = decode(frame)
    assert seen is None or (len(frame) >= 42 and frame[12:14] == b"\x08\x06")


def seen(mac: bytes, source: str, target: str, *, request: bool) -> str:
    frame = decode(encode(mac, socket.inet_aton(source), b"\0" * 6, socket.inet_aton(target), request=request))
    assert frame is not None
    return rival(frame, frozenset({OURS.hex(":")}), frozenset({"192.0.2.10"}))


def test_who_answers_from_an_address_or_is_about_to_take_it_is_a_rival() -> None:
    assert seen(THEIRS, "192.0.2.10", "0.0.0.0", request=False) == "192.0.2.10"
    assert seen(THEIRS, "192.0.2.10", "192.0.2.1", request=True) == "192.0.2.10"
    assert seen(THEIRS, "0.0.0.0", "192.0.2.10", request=True) == "192.0.2.10"


def test_who_asks_for_it_with_an_address_of_his_own_or_is_ourselves_is_none() -> None:
    assert seen(THEIRS, "192.0.2.7", "192.0.2.10", request=True) == ""
    assert seen(THEIRS, "0.0.0.0", "192.0.2.10", request=False) == ""
    assert seen(OURS, "0.0.0.0", "192.0.2.10", request=True) == ""
    assert seen(OURS, "192.0.2.10", "192.0.2.10", request=True) == ""
