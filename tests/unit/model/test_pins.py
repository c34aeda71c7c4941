"""The MASTER's pins are read without trust and written in one form."""

from __future__ import annotations

import pytest

from hotsync.model.packages.pins import Pin, new_pins, parse_preferences, render_preferences

TEXT = """\
# ours
Package: nginx nginx-*
Pin: origin "nginx.example"
Pin-Priority: 900

Explanation: not that one
Package: *
Pin: release o=Debian Backports,
 n=bookworm-backports
Pin-Priority: -10
"""


def test_pins_are_read_as_apt_reads_them_and_written_so_that_they_read_back() -> None:
    found, refused = parse_preferences(TEXT)
    assert refused == []
    assert found == [
        Pin(("nginx", "nginx-*"), 'origin "nginx.example"', 900),
        Pin(("*",), "release o=Debian Backports, n=bookworm-backports", -10),
    ]
    assert parse_preferences(render_preferences(found)) == (found, [])
    assert str(found[0]) == 'nginx nginx-*: origin "nginx.example", priority 900'


@pytest.mark.parametrize(
    ("stanza", "reason"),
    [
        ("Package: a\nPin: version 1*\nPin-Priority: 1001\n", "puts packages back"),
        ("Package: grub-pc\nPin: version 1*\nPin-Priority: 900\n", "this host's own"),
        ("Package: src:linux-base\nPin: version 1*\nPin-Priority: 900\n", "this host's own"),
        ("Package: /^a$/\nPin: version 1*\nPin-Priority: 900\n", "packages are not understood"),
        ("Package: a\nPin: version 1*\nPin-Priority: much\n", "not understood"),
        ("Package: a\nPin: wish x\nPin-Priority: 5\n", "not understood"),
        ("Pin: version 1*\nPin-Priority: 5\n", "packages are not understood"),
    ],
)
def test_a_pin_that_is_not_understood_or_reaches_too_far_is_refused(stanza: str, reason: str) -> None:
    found, refused = parse_preferences(stanza)
    assert found == []
    assert [reason in each.reason for each in refused] == [True]


def test_only_pins_that_are_new_here_are_offered_each_once() -> None:
    one, two = Pin(("a",), "version 1*", 5), Pin(("b",), "version 1*", 5)
    assert new_pins([one, two, two], [one]) == (two,)
