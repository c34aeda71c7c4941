"""Which card takes whose place: what a person may say, and that nothing stays open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import ConfigError, UsageError
from hotsync.model.network.cards import Card, complete, is_same, parse_pairs, shown

THEIRS = (Card("eth0"), Card("eth1"), Card("eth2", used=False))
NAMES = st.sampled_from(["eth0", "eth1", "eth2", "eth3", "enp3s0", ""])


def test_pairs_are_read_as_they_are_shown() -> None:
    assert parse_pairs(["eth0=enp3s0", "eth1=none"]) == (("eth0", "enp3s0"), ("eth1", ""))
    assert shown(parse_pairs(["eth0=enp3s0", "eth1=none"])) == "--map eth0=enp3s0 --map eth1=none"
    for text in ("eth0", "eth0=", "=eth1", ""):
        with pytest.raises(UsageError):
            parse_pairs([text])


def test_what_is_not_named_keeps_its_name_where_that_is_free() -> None:
    assert complete((("eth0", "enp3s0"),), THEIRS, ["eth1", "enp3s0"]) == (
        ("eth0", "enp3s0"),
        ("eth1", "eth1"),
        ("eth2", ""),
    )
    assert is_same(complete((), THEIRS, ["eth0", "eth1", "eth2"]))


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ((("eth9", "eth0"),), "eth9 is no card that the MASTER's network uses"),
        ((("eth0", "eth9"),), "eth9 is no network card of this server"),
        ((("eth0", "eth0"), ("eth0", "eth1")), "eth0 is named twice"),
        ((("eth0", "eth1"), ("eth1", "eth1")), "eth1 is to take the place of two cards"),
        ((("eth0", "eth1"),), "no card of this server takes the place of eth1"),
    ],
)
def test_every_fault_of_a_mapping_is_named(pairs: tuple[tuple[str, str], ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        complete(pairs, THEIRS, ["eth0", "eth1"])
    assert "--map OLD=NEW" in caught.value.hint


@given(st.lists(st.tuples(NAMES.filter(bool), NAMES), max_size=4), st.sets(NAMES.filter(bool)))
def test_a_mapping_is_whole_or_refused(pairs: list[tuple[str, str]], here: set[str]) -> None:
    try:
        found = complete(tuple(pairs), THEIRS, here)
    except ConfigError:
        return
    assert [old for old, _ in found] == [card.name for card in THEIRS]
    used = [new for _, new in found if new]
    assert len(set(used)) == len(used)
    assert set(used) <= here
    assert set(pairs) <= set(found)
