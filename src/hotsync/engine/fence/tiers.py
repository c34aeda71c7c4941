"""Fences the old MASTER after the claim: its agent, ssh, a command of the site. Each is tried once a run, whatever
comes, and counts only once the MASTER is seen to be silent; one that reached it is never repeated."""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import repeat
from pathlib import Path

from hotsync.backends import ssh
from hotsync.config.schema import Settings
from hotsync.engine.fence.agent import watch_it_leave
from hotsync.engine.fence.switched_off import Say, asking, wait_until_silent
from hotsync.errors import CommandFailed, HotSyncError, PeerUnreachable
from hotsync.model.fence import FenceResult, Tier, tiers_left
from hotsync.model.identity import Peer, Role
from hotsync.model.promotion import Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import addresses_of, is_own, plain_address
from hotsync.transport.client import hail
from hotsync.transport.dial import Callee, Ours
from hotsync.transport.handover_call import HandOverCall
from hotsync.transport.messages import Welcome
from hotsync.transport.tls import load_identity

KNOCK_SECONDS = 1.5
ANSWER_SECONDS = 10.0
Wait = Callable[[Iterable[str], int], str]
SWITCH_OFF = ("systemctl", "--no-block", "poweroff")
_log = logging.getLogger("hotsync.fence")


def fences_left(paths: Paths, promotion: Promotion) -> tuple[Tier, ...]:
    """Return the ways that are still to be tried; none where nobody is known who would have to be kept from it."""
    settings, _ = read_settings(paths)
    if store.load_peer(paths) is None:
        return ()
    if promotion.planned:
        # only the MASTER itself can say that it had stood still
        return (Tier.AGENT,) if promotion.awaits_confirmation else ()
    return tiers_left(settings.fence_ssh, settings.fence_command, promotion.fences)


def fence(paths: Paths, clock: Clock, say: Say = _log.info) -> None:
    """Try every way that is left, once; write down what came of each, and stop after one that reached the MASTER.

    Who is switched off is waited for, which `say` tells.
    """
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    promotion = document.load_promotion(paths)
    if peer is None or promotion is None:
        return

    def wait(further: Iterable[str], port: int) -> str:
        return wait_until_silent(asking(paths, peer, promotion, further, port), clock, say)

    ways: Mapping[Tier, Callable[[], str]] = {
        Tier.AGENT: lambda: _agent(paths, clock, settings, peer, promotion.epoch),
        Tier.SSH: lambda: _ssh(settings, wait),
        Tier.COMMAND: lambda: _command(settings, peer, wait),
    }
    results, tried = promotion.fences, list[Tier]()
    while left := tiers_left(settings.fence_ssh, settings.fence_command, results, tried):
        tried.append(tier := left[0])
        try:
            result = FenceResult(tier, True, ways[tier]())
        except HotSyncError as error:
            result = FenceResult(tier, False, error.sentence)
        except OSError as error:  # a program that the kernel does not start
            result = FenceResult(tier, False, error.strerror or str(error))
        _log.warning("Fence %s: %s", tier, result.detail)
        document.add_fence(paths, result)
        results = (*results, result)


def _agent(paths: Paths, clock: Clock, settings: Settings, peer: Peer, epoch: int) -> str:
    """Call the MASTER's HotSync with the claimed epoch: whoever hears a higher one holds itself, and lets go."""

    def find() -> tuple[Callee, ...]:
        if there := callees(paths, epoch):
            return there
        raise _nobody(peer, settings.slave_port)

    with closing(HandOverCall(find, settings.slave_port, clock, ANSWER_SECONDS, settings.clock_skew_seconds)) as line:
        return watch_it_leave(line, clock, epoch)


def say_released(paths: Paths, clock: Clock, epoch: int) -> str:
    """Tell the old MASTER that this epoch is released, if it is there; return where it heard it, "" if nowhere.

    It asks by itself, too; but not if it cannot call this server.
    """
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    if peer is None:
        return ""
    try:
        return call(paths, clock, settings, peer, epoch, released=epoch)[0]
    except HotSyncError as error:
        _log.info("the other server does not hear that epoch %d is released: %s", epoch, error.sentence)
        return ""


def call(
    paths: Paths, clock: Clock, settings: Settings, peer: Peer, epoch: int, released: int = 0
) -> tuple[str, Welcome]:
    """Present this server to the MASTER where it answers; return where it heard first, and what it answered."""
    last: HotSyncError | None = None
    for callee in callees(paths, epoch, released):
        try:
            return callee.address, hail(callee, clock, ANSWER_SECONDS)
        except HotSyncError as error:
            last = error
    raise last or _nobody(peer, settings.slave_port)


def _nobody(peer: Peer, port: int) -> PeerUnreachable:
    """Return that the MASTER answers nowhere: where it was asked, and where it could not be, since that is here by
    now."""
    if not is_own(peer.address):
        return PeerUnreachable(address=peer.address, port=port, reason="nobody is there")
    here = f"{peer.address} is this server's own address by now"
    if not peer.link_local:
        return PeerUnreachable(address="The MASTER", port=port, reason=f"it was not asked, {here}")
    return PeerUnreachable(address=peer.link_local, port=port, reason=f"nobody is there, and {here}")


def callees(paths: Paths, epoch: int, released: int = 0) -> tuple[Callee, ...]:
    """Return where the paired MASTER answers now; whoever calls there says that this server is at `epoch`, and has
    released that other one. First comes what stays when a MASTER gives up its addresses."""
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    if peer is None:
        return ()
    ours, port = Ours(epoch, Role.SLAVE, "localhost", "0", released=released), settings.slave_port
    addresses = tuple(dict.fromkeys(each for each in (peer.link_local, settings.master_host, peer.address) if each))
    return tuple(
        Callee(address, port, ours, load_identity(paths), peer.fingerprint) for address in _answering(addresses, port)
    )


def _answering(addresses: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Given addresses, return those where somebody answers; all are asked at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(addresses))) as pool:
        there = pool.map(_knock, addresses, repeat(port))
        return tuple(address for address, answers in zip(addresses, there, strict=True) if answers)


def _knock(address: str, port: int) -> bool:
    """Return whether somebody answers there, within a moment: a dead MASTER must not cost the promotion its time."""
    with suppress(OSError), socket.create_connection((address, port), timeout=KNOCK_SECONDS) as sock:
        # a promotion that goes on may have the MASTER's address already: that is ourselves
        return not is_own(address if "%" in address else plain_address(str(sock.getpeername()[0])))
    return False


def _ssh(settings: Settings, wait: Wait) -> str:
    """Switch the MASTER off by ssh, and wait until it is off."""
    target = settings.fence_ssh
    if leads_here(target):
        fault = f"{target} is this server itself now"
        raise CommandFailed(program="ssh", status="not run", detail=fault, line=f"ssh -G {target}")
    addresses, port = called(target)
    ssh.run(target, SWITCH_OFF)
    # its own addresses beside production's tell, too, that it is off: this way to it may be the only one
    return f"{target} switched itself off: {wait(addresses, port)}"


def leads_here(target: str) -> bool:
    """Given whom ssh would call, return whether that is this very server.

    A promotion that goes on has the MASTER's addresses, names and host keys already.
    """
    addresses, _ = called(target)
    return any(map(is_own, addresses))


def called(target: str) -> tuple[frozenset[str], int]:
    """Return the addresses and the port that ssh would call."""
    told = command.run(["ssh", "-G", "--", target], timeout=ssh.SECONDS).text
    options = dict(line.split(" ", 1) for line in told.splitlines() if line.startswith(("hostname ", "port ")))
    return addresses_of(options.get("hostname", "")), int(options.get("port", "22"))


def _command(settings: Settings, peer: Peer, wait: Wait) -> str:
    """Run the site's program with the MASTER's name and address; its exit status 0 says that the MASTER is off, which
    is looked at."""
    program = Path(settings.fence_command)
    if fault := fault_of(program):
        raise CommandFailed(program=str(program), status="not run", detail=fault, line=f"ls -l {program}")
    command.run([os.fspath(program), peer.name, peer.address], timeout=float(settings.fence_seconds), unread=True)
    return f"{program} ended with 0: {wait((), 0)}"


def fault_of(program: Path) -> str:
    """Given the site's program, return why root should not run it, "" if it may."""
    if not program.is_absolute():
        return "it is no absolute path"
    try:
        status = program.stat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o100:
        return "it is no program that can be run"
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        return "somebody else than root may change it"
    return ""
