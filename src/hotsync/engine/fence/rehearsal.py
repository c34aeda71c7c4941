"""Tries each fence that is set up, now, and nothing that could stop the MASTER: not even if it lies, or this is cut."""

from __future__ import annotations

import filecmp
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hotsync.backends import ssh
from hotsync.config.schema import Settings
from hotsync.engine.fence.known import ways
from hotsync.engine.fence.tiers import call, fault_of
from hotsync.errors import HotSyncError, PeerUnreachable
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Outcome, Rehearsed
from hotsync.model.identity import Peer
from hotsync.state import store
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

NO_CLAIM = 0
"""The epoch that a rehearsal says it has: above nobody's. Our own can be above the MASTER's, after an undo: then to
say it would be the fence itself."""

_log = logging.getLogger("hotsync.fence")
_Answer = tuple[Outcome, str, str]


def rehearse(paths: Paths, clock: Clock) -> Iterator[Rehearsed]:
    """Try each way; yield what came of it as soon as it is known.

    Of a MASTER that is away (it is not connected, and its HotSync does not answer) nothing is learned by calling it:
    then only the site's program has a result.
    """
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    if peer is None:
        return
    rehearsals: Mapping[Tier, Callable[[], _Answer]] = {
        Tier.AGENT: lambda: _agent(paths, clock, settings, peer),
        Tier.SSH: lambda: _ssh(paths, clock, settings),
        Tier.COMMAND: lambda: _command(settings, peer),
    }
    away = False
    for tier, target in ways(paths).items():
        if away and tier is Tier.SSH:
            continue
        try:
            outcome, detail, hint = rehearsals[tier]()
        except HotSyncError as error:
            if isinstance(error, PeerUnreachable) and not load_presence(paths).connected:
                away = True
                _log.info("The MASTER is not there: %s", error.sentence)
                continue
            outcome, detail, hint = Outcome.FAILED, error.sentence, error.hint
        except OSError as error:  # a program that the kernel does not start
            outcome, detail, hint = Outcome.FAILED, error.strerror or str(error), "Look at the program: is it one?"
        (_log.warning if outcome is Outcome.FAILED else _log.info)("Fence %s, tried: %s", tier, detail)
        yield Rehearsed(tier, target, clock.now(), outcome, detail, hint)


def _agent(paths: Paths, clock: Clock, settings: Settings, peer: Peer) -> _Answer:
    """Call the MASTER's HotSync as a fence does, and say nothing by it."""
    address, welcome = call(paths, clock, settings, peer, NO_CLAIM)
    epoch = store.load_role(paths).epoch
    if welcome.role != "master":
        return Outcome.FAILED, f"who answers at {address} is no MASTER", "`hotsync status` there says what it is."
    if welcome.epoch > epoch:
        said = f"it is at epoch {welcome.epoch}, this server at {epoch}: it might not yield to a promotion"
        return Outcome.FAILED, said, "Run hotsync on the MASTER: this server takes its epoch over then."
    return Outcome.WORKS, f"it answers at {address}", ""


def _ssh(paths: Paths, clock: Clock, settings: Settings) -> _Answer:
    host = settings.fence_ssh
    login = ssh.look(host, paths.run / "fence-ssh", clock)
    if login.forced:
        said = f"{login.user} is let in at {host}, where the key has a command of its own, which was not run"
        return Outcome.NOT_RUN, said, "A promotion runs that command: make sure that it switches the MASTER off."
    if login.may_switch_off:
        return Outcome.WORKS, f"{login.user} is let in at {host}, and may switch it off", ""
    lacks = "may not switch it off" if login.may_switch_off is False else "may not be able to switch it off"
    said = f"{login.user} is let in at {host}, and {lacks}"
    return Outcome.FAILED, said, f"Let ssh log in there as root: `User root` for {host} in /root/.ssh/config."


def _command(settings: Settings, peer: Peer) -> _Answer:
    """Look at the site's program, which is never run here, and run its test, if there is one."""
    program, test = Path(settings.fence_command), Path(settings.fence_test)
    if fault := fault_of(program):
        return Outcome.FAILED, f"{program}: {fault}", f"ls -l {program}"
    if not settings.fence_test:
        hint = "A program that only asks, as `ipmitool power status`, can be run instead: setting FenceTest."
        return Outcome.NOT_RUN, f"{program} is there, and only root can change it; it was not run", hint
    if fault := fault_of(test):
        return Outcome.FAILED, f"{test}: {fault}", f"ls -l {test}"
    if _are_same(program, test):
        said = f"{test} is the very program that switches the MASTER off; it was not run"
        return Outcome.FAILED, said, "FenceTest must be a program that switches nothing."
    command.run([os.fspath(test), peer.name, peer.address], timeout=float(settings.fence_seconds))
    return Outcome.WORKS, f"{test} ended with 0", ""


def _are_same(program: Path, test: Path) -> bool:
    """Return whether two names are of one program: a link, or a copy."""
    return program.samefile(test) or filecmp.cmp(program, test, shallow=False)
