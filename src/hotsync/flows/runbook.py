"""The runbook of a pair: made by hotsync-slave, fetched by the MASTER's agent, shown on both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hotsync.engine.promotion.ground import Ground
from hotsync.engine.replica_tree import read_text
from hotsync.errors import Refused
from hotsync.flows.promote import Prospect
from hotsync.model.facts import NetworkFacts
from hotsync.model.identity import Peer
from hotsync.model.network.values import Address
from hotsync.model.report import Check, Verdict
from hotsync.model.runbook import Application, Card, Runbook, Server
from hotsync.report.runbook import render
from hotsync.sources.facts import read_network
from hotsync.state.runbook import load_runbook, save_runbook
from hotsync.state.settings import read_settings
from hotsync.state.store import load_peer
from hotsync.system.paths import Paths

_MOST_LINES, _LONGEST = 40, 70
_NOT_SHOWN = frozenset(("veth", "tun", "dummy"))


def show_runbook(paths: Paths) -> str:
    """Return the runbook; raise Refused if this server has none yet."""
    if text := load_runbook(paths):
        return text
    raise Refused(
        reason="there is no runbook yet",
        hint="hotsync-slave makes it on the SLAVE once there is a generation; the MASTER fetches it within a minute.",
    )


def make_runbook(paths: Paths, seen: Prospect, checks: Iterable[Check], now: float) -> None:
    """Given what a promotion would do now, and what was asked, write the runbook; raise OSError or CommandFailed."""
    save_runbook(paths, render(_gather(paths, seen, checks, now)))


def _gather(paths: Paths, seen: Prospect, checks: Iterable[Check], now: float) -> Runbook:
    ground, peer, network = Ground(paths), load_peer(paths) or Peer("", "", "", ""), seen.promotion.network
    told, here = ground.master.network, read_network(paths)
    return Runbook(
        made_at=now,
        master=_server(told, told.host_name or peer.name),
        slave=_server(here, here.host_name),
        fingerprint=peer.fingerprint,
        paired_at=peer.paired_at,
        generation=seen.promotion.generation,
        data_of=seen.promotion.confirmed_at,
        seconds=seen.seconds,
        taken=_on_cards(network.addresses),
        gateways=tuple(f"{gateway.address} on {gateway.interface}" for gateway in network.gateways),
        kept=_on_cards(network.standby),
        mapped=tuple(f"{new or 'none'} for {old}" for old, new in network.pairs if old != new),
        phases=tuple(Counter(step.phase.value for step in seen.plan).items()),
        applications=_applications(ground),
        open=tuple(check for check in checks if check.verdict is not Verdict.GREEN),
        phone=_phone_book(paths),
        rollback_seconds=read_settings(paths)[0].rollback_seconds,
    )


def _server(network: NetworkFacts, name: str) -> Server:
    cards = (each for each in network.interfaces if each.name != "lo" and each.kind not in _NOT_SHOWN)
    return Server(
        name,
        tuple(
            Card(card.name, card.mac, tuple(f"{each.address}/{each.prefix}" for each in card.addresses))
            for card in cards
        ),
    )


def _on_cards(addresses: Iterable[Address]) -> tuple[str, ...]:
    return tuple(f"{address} on {address.interface}" for address in addresses)


def _applications(ground: Ground) -> tuple[Application, ...]:
    """Return the MASTER's applications that have something to ask, with their questions."""
    found: list[Application] = []
    for profile in ground.profiles:
        asked = [spec.title for name, spec in ground.checks.items() if name.startswith(f"{profile.name}.")]
        if asked:
            found.append(Application(profile.profile.title, tuple(dict.fromkeys(asked))))
    return tuple(found)


def _phone_book(paths: Paths) -> tuple[str, ...]:
    """Return the lines of the phone book: the MASTER's, as the replica has it, or else this server's own."""
    own = paths.phone_book.read_text(errors="replace") if paths.phone_book.is_file() else ""
    lines = (read_text(paths.replica / "tree", "etc/hotsync/phone-book", 64 * 1024) or own).splitlines()
    wanted = [line.strip()[:_LONGEST] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return tuple(wanted[:_MOST_LINES])
