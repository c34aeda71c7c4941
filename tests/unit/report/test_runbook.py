"""A runbook is a page that a frightened person can read on paper: complete, plain, never wider than the paper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.model.report import Check, Verdict
from hotsync.model.runbook import Application, Card, Runbook, Server
from hotsync.report.runbook import ONLY_A_PERSON, PHONE_BOOK, WIDTH, render

PAGE = Runbook(
    made_at=1e9,
    master=Server(
        "alpha", (Card("eth0", "52:54:00:00:00:01", ("10.0.0.1/24", "2001:db8::1/64")), Card("eth1", "", ()))
    ),
    slave=Server("beta", (Card("ens18", "52:54:00:00:00:02", ("10.0.0.2/24",)),)),
    fingerprint="ab" * 32,
    paired_at=9e8,
    generation=41,
    data_of=9.99e8,
    seconds=34.4,
    taken=("10.0.0.1/24 on eth0", "2001:db8::1/64 on eth0"),
    gateways=("10.0.0.254 on eth0",),
    kept=("10.0.0.2/24 on ens18",),
    mapped=("ens18 for eth0",),
    phases=(("claim", 1), ("network", 3)),
    applications=(Application("Postfix mail server", ("it accepts mail for postmaster",)), Application("Bare", ())),
    open=(Check("x", "a card is missing", Verdict.AMBER, "eth0 is not here", "Map it."),),
    phone=("Anna: +49 30 1234",),
    rollback_seconds=120,
)


def words(text: str) -> str:
    return " ".join(text.split())


def test_it_names_both_servers_their_cards_and_what_becomes_of_the_addresses() -> None:
    page = words(render(PAGE))
    assert "Runbook: alpha is dead, beta takes over" in page
    for said in (
        "eth0 52:54:00:00:00:01 10.0.0.1/24, 2001:db8::1/64",
        "eth1 - no address",
        "ens18 52:54:00:00:00:02 10.0.0.2/24",
        "It takes these addresses: 10.0.0.1/24 on eth0, 2001:db8::1/64 on eth0",
        "Gateways: 10.0.0.254 on eth0",
        "It keeps beside them: 10.0.0.2/24 on ens18",
        "Cards in the place of the MASTER's: ens18 for eth0",
        "about 34 seconds",
        "(generation 41)",
        "claim (1 step), network (3 steps)",
        "ab" * 32,
    ):
        assert said in page, said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (120, "the old one is back in 2 minutes: look at the cables, run it again."),
        (60, "the old one is back in a minute:"),
        (90, "the old one is back in 90 seconds:"),
        (3600, "the old one is back in 60 minutes:"),
        (0, "it stays all the same: look at the cables."),
    ],
)
def test_when_the_old_network_comes_back_is_what_the_setting_says(seconds: int, said: str) -> None:
    page = words(render(replace(PAGE, rollback_seconds=seconds)))
    assert f"If nobody answers with the new network, {said}" in page


def test_it_tells_what_to_do_in_order_and_what_only_a_person_can_see() -> None:
    text = render(PAGE)
    order = [text.index(f"{number}. ") for number in range(1, 8)]
    assert order == sorted(order)
    for command in ("hotsync-promote\n", "hotsync-promote --dry-run", "signal-event post-restore-data", "reboot\n"):
        assert command in text, command
    page = words(text)
    assert all(line in page for line in ONLY_A_PERSON)
    assert "Postfix mail server: it accepts mail for postmaster" in page
    assert "Bare: nothing: look yourself" in page
    assert "amber: a card is missing: eth0 is not here. Map it." in page


def test_the_phone_book_is_the_administrators_or_lines_to_be_filled_in() -> None:
    assert "Anna: +49 30 1234" in render(PAGE)
    assert PHONE_BOOK[0] not in render(PAGE).partition("2. ")[0]
    blank = render(replace(PAGE, phone=()))
    assert all(f"{who}:" in blank for who in PHONE_BOOK)


def test_what_is_not_known_is_said() -> None:
    page = words(render(replace(PAGE, taken=(), gateways=(), kept=(), open=(), fingerprint="")))
    assert "It takes these addresses: none is known: it will ask about the network" in page
    assert "It keeps beside them" not in page
    assert "SHA-256" not in page
    assert page.endswith("- Nothing.")


def test_it_fits_on_paper_and_nothing_that_the_peer_told_moves_a_cursor() -> None:
    hostile = Server("al\x1b[2Jpha\nroot", (Card("eth\u202e0", "x\r", ("10.0.0.1/24\n",)),))
    text = render(replace(PAGE, master=hostile, applications=(Application("A " * 300, ("\x07",)),)))
    assert all(line.isprintable() for line in text.splitlines())
    assert [
        line for line in render(replace(PAGE, applications=PAGE.applications * 9)).splitlines() if len(line) > WIDTH
    ] == []
    assert "\\x1b" in text


def test_long_names_and_many_addresses_stay_apart_and_on_the_paper() -> None:
    addresses = tuple(f"2001:db8:1234:5678:9abc:def0:1234:{number}/64" for number in range(4))
    long = "production-of-the-branch-office.example.org"
    server = Server(long, (Card("enp0s31f6.1234", "52:54:00:00:00:01", addresses),))
    text = render(replace(PAGE, master=server, slave=replace(server, name=f"spare-of-{long}")))
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []
    assert "enp0s31f6.1234 52:54:00:00:00:01 2001:db8" in words(text)
    assert all(address in text for address in addresses)
    assert "about a second," in render(replace(PAGE, seconds=0.4))
