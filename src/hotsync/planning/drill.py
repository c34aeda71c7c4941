"""What the sandbox of a drill is made of, and what a drill has to leave out: pure, from what was read of this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hotsync.errors import NotReady
from hotsync.model.drill_room import Card, Cover, RoomPlan, free_neighbour
from hotsync.model.nesting import lies_in
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkPlan
from hotsync.model.report import Check, Verdict

WIRES = "host.network.wires"
"""The check of the wires that a promotion would use."""

LEAST = 512 * 1024**2
"""With less room than this no machine comes up."""

COVERED = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs"})
"""Local file systems that can lie under a cover."""

_OF_THE_SYSTEM = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs",
    "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs",
})  # fmt: skip
_NOT_DATA = ("/boot", "/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - what is mounted there is no data


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What was read of this host.

    `free` and `limit` are bytes; `mounts` are mount points with their kinds, in their order, folders only; `cards` are
    this host's cards with their hardware addresses; `wires` say of an interface that is made of cards which of them it
    uses; `heard` are the addresses of production that answer now, and on which cards; `streamed` are database servers
    that follow the MASTER, with the folder of each below the root; `fences` are the settings that reach a MASTER.
    """

    host_name: str
    free: int
    limit: int
    seconds: int
    mounts: tuple[tuple[str, str], ...]
    cards: tuple[tuple[str, str], ...]
    network: NetworkPlan
    wires: Mapping[str, str] = field(default_factory=dict[str, str])
    heard: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    streamed: tuple[tuple[str, str], ...] = ()
    fences: tuple[str, ...] = ()


def plan_room(facts: RoomFacts) -> RoomPlan:
    """Given the facts, return the sandbox; raise NotReady if there is no room for one."""
    size = min(facts.limit, facts.free * 3 // 4)
    if size < LEAST:
        raise NotReady(
            reason=f"a drill needs {LEAST / 2**20:.0f} MiB; it may take {max(0, size) / 2**20:.0f} of what is free",
            hint="Free or add space below /var/lib/hotsync.",
        )
    asked, reached = _by_family(facts)
    return RoomPlan(
        host_name=facts.host_name,
        size=size,
        covers=tuple(_covers(facts.mounts)),
        cards=tuple(Card(name, mac, tuple(_client_addresses(name, facts))) for name, mac in facts.cards),
        emptied=tuple(folder for _, folder in facts.streamed),
        asked=asked,
        reached=reached,
        seconds=facts.seconds,
    )


def check_wires(facts: RoomFacts) -> Check:
    """Given the facts, return whether production's addresses come to the wires that they are on now.

    In the sandbox every wire is as good as another, so that cannot be rehearsed.
    """
    title, plan = "the MASTER's addresses come to the cards on whose wires they are", facts.network
    hint = "hotsync-slave --map OLD=NEW says which card of this server takes the place of which of the MASTER's."
    if not plan.choice.takes_addresses:
        return Check(WIRES, title, Verdict.AMBER, "its own network would be kept", hint)
    if not plan.addresses:
        return Check(WIRES, title, Verdict.RED, "none of them is taken: nobody would find this server", hint)
    wrong = [
        f"{address} is on the wire of {', '.join(sorted(cards))} and would come to {address.interface}"
        for address in plan.addresses
        if (cards := facts.heard.get(address.address)) and _wire(address.interface, facts) not in cards
    ]
    return Check(WIRES, title, Verdict.RED if wrong else Verdict.GREEN, "; ".join(wrong), hint if wrong else "")


def left_out(facts: RoomFacts) -> tuple[str, ...]:
    """Given the facts, return in sentences what this drill cannot rehearse."""
    return tuple(_left_out(facts))


def _covers(mounts: Iterable[tuple[str, str]]) -> Iterator[Cover]:
    yield Cover("")
    last = {point: kind for point, kind in mounts}  # what was mounted last at a place is what is seen there
    for point, kind in sorted(last.items()):
        if point != "/" and kind in COVERED and not _is_below(point, _NOT_DATA):
            yield Cover(point)


def _is_below(point: str, folders: Iterable[str]) -> bool:
    return any(lies_in(point, folder) for folder in folders)


def _wire(interface: str, facts: RoomFacts) -> str:
    """Return the card whose wire an interface is on, "" if that is not known."""
    name = facts.wires.get(interface, interface)
    return name if name in dict(facts.cards) else ""


def _asked(facts: RoomFacts) -> Iterator[tuple[Address, Address]]:
    """Return the addresses of production at which the client can ask, each with the client's own beside it."""
    plan = facts.network
    taken = {address.address for address in (*plan.addresses, *plan.standby, *plan.gateways)}
    for address in plan.addresses:
        own = free_neighbour(address, frozenset(taken))
        if own is not None and _wire(address.interface, facts):
            taken.add(own.address)
            yield address, own


def _by_family(facts: RoomFacts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the addresses at which every service is asked, and those of which only is looked whether they answer.

    Services are asked by IPv4, where production has it: by IPv6 they are the same, and each question takes its time.
    """
    every = [address for address, _ in _asked(facts)]
    asked = [address for address in every if address.version == 4] or every
    return tuple(each.address for each in asked), tuple(each.address for each in every if each not in asked)


def _client_addresses(card: str, facts: RoomFacts) -> Iterator[Address]:
    for address, own in _asked(facts):
        if _wire(address.interface, facts) == card:
            yield Address(card, own.address, own.prefix)
    for gateway in facts.network.gateways:
        if _wire(gateway.interface, facts) == card:
            yield Address(card, gateway.address, 32 if gateway.version == 4 else 128)


def _left_out(facts: RoomFacts) -> Iterator[str]:
    if facts.fences:
        yield f"the fences ({', '.join(facts.fences)}): they would stop the MASTER, so each is only tried without that"
    yield "kernel modules, kernel settings and hardware: the sandbox has this server's running kernel and no devices"
    yield "whatever is outside of this server: name servers, relays, providers, mounted shares, partners"
    for name, _ in facts.streamed:
        yield f"the standby of {name}: it goes on following the MASTER, and its last dump is loaded instead"
    for point, kind in dict(facts.mounts).items():
        if kind not in COVERED and kind not in _OF_THE_SYSTEM and point != "/" and not _is_below(point, _NOT_DATA):
            yield f"{point}: {kind} is no local file system that a sandbox can cover"
    known = {address for address, _ in _asked(facts)}
    if reached := _by_family(facts)[1]:
        yield (
            f"the services at {', '.join(reached)}: a client asks them by IPv4, and by IPv6 only whether these "
            "addresses answer"
        )
    silent = [str(address) for address in facts.network.addresses if address not in known]
    if silent:
        yield f"questions of a client at {', '.join(silent)}: there is no wire of a card on which it could ask"
