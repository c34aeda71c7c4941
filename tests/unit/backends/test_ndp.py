"""Neighbour discovery as bytes."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from hotsync.backends.network.ndp import (
    NOBODY,
    Ndp,
    decode,
    encode_announcement,
    encode_question,
    group_of,
    link_local,
    mac_of,
    rival,
)

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("0200000000fe")
OURS_TEXT, THEIRS_TEXT = OURS.hex(":"), THEIRS.hex(":")
ADDRESS = "2001:db8::12:3456"


def test_a_question_goes_to_the_group_of_the_address_and_says_who_asks() -> None:
    frame = encode_question(OURS, link_local(OURS), ADDRESS)
    assert frame[:6] == bytes.fromhex("3333ff123456") == mac_of(group_of(ADDRESS))
    assert decode(frame) == Ndp(False, OURS_TEXT, "fe80::ff:fe00:1", ADDRESS)
    assert frame[-8:] == b"\x01\x01" + OURS


def test_the_checksum_holds() -> None:
    sent = encode_question(bytes.fromhex("525400123456"), "fe80::5054:ff:fe12:3456", "2001:db8::1")
    words = sent[22:54] + struct.pack("!II", 32, 58) + sent[54:]
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    assert total % 0xFFFF == 0


def test_an_announcement_tells_everybody() -> None:
    frame = encode_announcement(OURS, ADDRESS)
    assert frame[:6] == bytes.fromhex("333300000001")
    assert decode(frame) == Ndp(True, OURS_TEXT, ADDRESS, ADDRESS)


def test_what_a_router_passed_on_and_what_is_not_whole_says_nothing() -> None:
    frame = encode_announcement(OURS, ADDRESS)
    assert decode(frame[:21] + b"\xfe" + frame[22:]) is None
    assert decode(frame[:77]) is None
    assert decode(frame[:12] + b"\x08\x00" + frame[14:]) is None
    assert decode(frame[:54] + b"\x80" + frame[55:]) is None


@given(st.binary(max_size=120))
def test_no_frame_breaks_it(frame: bytes) -> None:
    decode(frame)
    decode(frame[:12] + b"\x86\xdd\x60\0\0\0\0\x20\x3a\xff" + frame[22:])


def test_a_rival_is_who_has_sends_from_or_is_about_to_take_an_address() -> None:
    wanted, own = frozenset({ADDRESS}), frozenset({OURS_TEXT})
    other = "fe80::fe"
    assert rival(Ndp(True, THEIRS_TEXT, other, ADDRESS), own, wanted) == ADDRESS
    assert rival(Ndp(False, THEIRS_TEXT, ADDRESS, "2001:db8::5"), own, wanted) == ADDRESS
    assert rival(Ndp(False, THEIRS_TEXT, NOBODY, ADDRESS), own, wanted) == ADDRESS
    assert rival(Ndp(False, THEIRS_TEXT, other, ADDRESS), own, wanted) == ""  # it only looks for the address
    assert rival(Ndp(True, THEIRS_TEXT, other, "2001:db8::5"), own, wanted) == ""
    assert rival(Ndp(True, OURS_TEXT, other, ADDRESS), own, wanted) == ""
