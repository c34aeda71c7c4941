"""Asks, before a held MASTER takes production back, or a promotion goes on, whether somebody else serves: the other
server, and the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hotsync.backends.network import addresses as live
from hotsync.backends.network.giving_up import read_cards
from hotsync.engine.fence.tiers import callees
from hotsync.engine.one_master.silence import signs_of_life
from hotsync.errors import EpochReleased, HotSyncError, PeerUnreachable, Refused, StaleEpoch
from hotsync.model.hold import Hold
from hotsync.model.identity import Role
from hotsync.model.network.values import Address
from hotsync.state import store
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.client import hail
from hotsync.transport.dial import Callee, Ours
from hotsync.transport.tls import load_identity

ANSWER_SECONDS = 5.0


def word_of_peer(paths: Paths, clock: Clock) -> tuple[str, ...]:
    """Ask the paired server at every address of it that is known, at this server's own epoch, so that asking claims
    nothing; return where it is on and does not say that it serves nothing, in words.

    Raise Refused where it says that it is the MASTER.
    """
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    if peer is None:
        return ()
    ours, identity = Ours(store.load_role(paths).highest_epoch, Role.MASTER, "localhost", "0"), load_identity(paths)
    known = (peer.link_local, settings.slave_host, peer.address)
    signs: list[str] = []
    for address in dict.fromkeys(each for each in known if each):
        try:
            hail(Callee(address, settings.slave_port, ours, identity, peer.fingerprint), clock, ANSWER_SECONDS)
        except StaleEpoch as error:
            raise Refused(
                reason=f"the other server answers at {address}, and it is the MASTER",
                hint="Leave this one held; or switch the other one off first, and keep it off.",
            ) from error
        except EpochReleased:
            continue  # it has given its promotion up
        except PeerUnreachable as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                signs.append(f"{address} refuses connections to port {settings.slave_port}, so it is on")
        except HotSyncError as error:  # a wrong clock, another protocol or certificate: it is on, and may serve
            signs.append(f"{address} port {settings.slave_port} answers ({error.sentence.rstrip('.')})")
    return tuple(signs)


def refuse_if_outrun(paths: Paths, clock: Clock, epoch: int) -> None:
    """Raise Refused if the other server says that it is the MASTER of the claimed epoch, or a higher one: it was made
    the MASTER again since, and would not yield. One of a lower epoch hears of the claim by this."""
    for callee in callees(paths, epoch):
        try:
            welcome = hail(callee, clock, ANSWER_SECONDS)
        except HotSyncError:
            continue  # whether it serves all the same, the fence finds out
        if welcome.role == "master" and welcome.epoch >= epoch:
            raise Refused(
                reason=f"the other server was made the MASTER again since this promotion to epoch {epoch} was claimed "
                f"(it is at epoch {welcome.epoch})",
                hint="hotsync-promote --undo gives this promotion up. If this server is to take over all the same: "
                "hotsync-promote after that, which claims a higher epoch.",
            )


def signs_on_the_wire(
    hold: Hold,
    configured: Iterable[str],
    port: int,
    ask: Callable[[str, int, Iterable[Address]], tuple[str, ...]] = signs_of_life,
) -> tuple[str, ...]:
    """Given how this server is held, and the IPv4 addresses that its files give it, return who answers for what it
    would take, in words: asked by ARP on every card, since this server has no address now, and by ping."""
    wanted = {*configured, *(address.address for address in hold.addresses if address.version == 4)}
    here = live.read_interfaces()
    wires = {*read_cards(), *(address.interface for address in hold.addresses if address.interface in here)}
    asked = tuple(Address(wire, address, 32) for wire in sorted(wires) for address in sorted(wanted))
    return ask("", port, (*hold.addresses, *asked))
