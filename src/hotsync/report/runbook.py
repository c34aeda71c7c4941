"""The runbook as a page of plain text: to be printed, and read by somebody who has never done it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from hotsync.model.readable import readable
from hotsync.model.runbook import Runbook, Server
from hotsync.report.mail import local_time

WIDTH = 78
_BLANK = "_" * 30
PHONE_BOOK = ("Administrator", "Deputy", "Who decides", "Network and switch", "Internet provider", "Hardware, power")
"""The lines to be filled in by hand where nobody wrote a phone book."""
ONLY_A_PERSON = (
    "People can work: log in to mail, shares and web applications as one of them would.",
    "The switch or router has learnt where the addresses are now (reach the server from another network).",
    "USB disks, telephone cards and UPS cables that hung on the MASTER are moved over.",
    "The old MASTER stays off until somebody has time for it: `hotsync rejoin` makes it the SLAVE of this server.",
)
"""What no program can see after a promotion."""
_STAYS_ON = (
    "The old MASTER stays on: it becomes the SLAVE of this server by itself, and `hotsync status` there shows how far "
    "that is."
)


def only_a_person(*, planned: bool) -> tuple[str, ...]:
    """Return what no program can see after a promotion, or (`planned`) a switchover, whose old MASTER is no danger."""
    return (*ONLY_A_PERSON[:-1], _STAYS_ON) if planned else ONLY_A_PERSON


COMPLETE = "signal-event post-restore-data"
"""The command that completes a promotion: the manual's sixth step."""


def render(page: Runbook) -> str:
    """Given what is known of a pair, return its runbook; nothing in it can move a cursor."""
    return "".join(f"{line}\n" for line in _lines(page))


def _lines(page: Runbook) -> Iterator[str]:
    master, slave = readable(page.master.name) or "the MASTER", readable(page.slave.name)
    yield from _before(page, master, slave)
    yield from _promotion(page, slave)
    yield from _afterwards(page, master, slave)


def _before(page: Runbook, master: str, slave: str) -> Iterator[str]:
    """Whom to call, which servers these are, and whether the MASTER is dead at all."""
    yield from _title(f"Runbook: {master} is dead, {slave} takes over")
    yield from _said(
        f"Made by hotsync-slave on {slave}, {local_time(page.made_at)}. It is made anew with every run and is on both "
        "servers: hotsync runbook shows it. Print it, and keep it where both servers are off and you can still read it."
    )
    yield from _heading("1. Whom to call")
    yield from (f"   {readable(line)}" for line in page.phone)
    if not page.phone:
        yield from (f"   {who + ':':<22}{_BLANK}" for who in PHONE_BOOK)

    yield from _heading("2. The two servers")
    yield from _server("MASTER (production)", page.master)
    yield from _server("SLAVE (spare)", page.slave)
    if page.fingerprint:
        yield from _said(f"Paired {local_time(page.paired_at)}; the MASTER's certificate (SHA-256):")
        yield from (f"     {part}" for part in textwrap.wrap(page.fingerprint, 64))

    yield from _heading(f"3. Is {master} really dead?")
    yield from _ticks(
        f"Look at its screen and its lights. Can somebody log in? Then it is not dead: mend {master} instead.",
        "Is it only the network? Look at cable and switch first: two servers with the same addresses do harm.",
        f"Switch {master} off, pull its power or network cable, and see to it that nobody switches it on again.",
    )


def _promotion(page: Runbook, slave: str) -> Iterator[str]:
    """The command, what it takes, and what to do when it stops."""
    yield from _heading(f"4. Promote {slave}")
    yield from _said(f"On the console of {slave}, or by ssh, as root:")
    yield from ("", "       hotsync-promote", "")
    yield from _said(
        "It shows what it will do and what is lost, then asks for the name of the server; nothing is changed before. "
        f"When this page was made it would have taken about {_span(page.seconds)}, with the data of "
        f"{local_time(page.data_of)} (generation {page.generation}). To look only: hotsync-promote --dry-run"
    )
    yield from _listed("It takes these addresses", page.taken, "none is known: it will ask about the network")
    yield from _listed("Gateways", page.gateways, "none is known")
    yield from _listed("It keeps beside them", page.kept, "")
    yield from _listed("Cards in the place of the MASTER's", page.mapped, "")
    yield from _listed("Its parts", (f"{name} ({_steps(count)})" for name, count in page.phases), "")
    yield from _ticks(
        "A closed terminal or a lost connection changes nothing: run hotsync-promote again, it shows where it is.",
        "If it stops with an error: read the hint, remove the cause, run hotsync-promote again. It goes on.",
        "If power fails in the middle: switch on, log in, run hotsync-promote again. Until then it serves nothing.",
        "If it asks about the network because the cards differ: 4 shows which card takes which one's place, and asks.",
        _way_back(page.rollback_seconds),
    )


def _afterwards(page: Runbook, master: str, slave: str) -> Iterator[str]:
    """What to look at, what becomes of the old MASTER, and what was not in order beforehand."""
    yield from _heading("5. Afterwards")
    yield from _said("What a promotion asks by itself, and shows in its report:")
    for one in page.applications:
        asked = "; ".join(readable(question) for question in one.questions) or "nothing: look yourself"
        yield from _item(f"{readable(one.title)}: {asked}")
    yield from _said("What only a person can check:")
    yield from _ticks(*ONLY_A_PERSON)
    yield from _said("When all is well, complete it, reboot once, and look again:")
    yield from ("", f"       {COMPLETE}", "       reboot", "       hotsync status", "")
    yield from _said(
        f"Was it a mistake? hotsync-promote --undo makes {slave} the SLAVE again, keeps what was written meanwhile, "
        f"and lets {master} serve."
    )

    yield from _heading(f"6. When {master} can be switched on again")
    yield from _said(
        f"Keep it off if you can. If it boots beside {slave}, it asks, hears that it was replaced, and holds itself: "
        "it takes no address of production and serves nothing (hotsync status there says HELD). Then, on it:"
    )

    yield from ("", "       hotsync rejoin", "")
    yield from _said(
        f"It copies what {slave} never received to a vault, becomes its SLAVE, and is sent what differs. The manual "
        "says more (The old MASTER comes back)."
    )

    yield from _heading("7. What was not in order when this page was made")
    if not page.open:
        yield "   Nothing."
    for check in page.open:
        text = f"{check.verdict.value}: {readable(check.title)}: {readable(check.detail)}. {readable(check.hint)}"
        yield from _item(text.strip())


def _title(text: str) -> Iterator[str]:
    lines = _wrapped(text, "", "")
    yield from lines
    yield "=" * max(map(len, lines))


def _heading(text: str) -> Iterator[str]:
    lines = _wrapped(text, "", "   ")
    yield ""
    yield from lines
    yield "-" * max(map(len, lines))


def _wrapped(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)


def _said(text: str) -> Iterator[str]:
    yield from _wrapped(text, "   ", "   ")


def _ticks(*lines: str) -> Iterator[str]:
    for line in lines:
        yield from _wrapped(line, "   [ ] ", "       ")


def _item(text: str) -> Iterator[str]:
    yield from _wrapped(text, "   - ", "     ")


def _listed(title: str, items: Iterable[str], none: str) -> Iterator[str]:
    shown = [readable(item) for item in items]
    if shown or none:
        yield from _said(f"{title}: {', '.join(shown) or none}")


def _server(what: str, server: Server) -> Iterator[str]:
    yield from _wrapped(f"{what}: {readable(server.name)}", "   ", "     ")
    for card in server.cards:
        addresses = ", ".join(readable(address) for address in card.addresses) or "no address"
        # a name may have 15 letters (enp0s31f6.1234), and one card many addresses
        head = f"     {readable(card.name):<11} {readable(card.mac) or '-':<19} "
        if len(head + addresses) <= WIDTH:
            yield head + addresses
        else:
            yield head.rstrip()
            yield from _wrapped(addresses, " " * 9, " " * 9)


def _way_back(seconds: int) -> str:
    """Return what becomes of a new network with which nobody answers, by the setting RollbackSeconds."""
    if not seconds:
        return "If nobody answers with the new network, it stays all the same: look at the cables."
    minutes, rest = divmod(seconds, 60)
    span = f"{seconds} seconds" if rest else "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"If nobody answers with the new network, the old one is back in {span}: look at the cables, run it again."


def _span(seconds: float) -> str:
    if seconds < 1.5:
        return "a second"
    return f"{round(seconds)} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
