"""`hotsync drill --fences`, and each week's drill: the fences are tried without stopping anything, kept and told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hotsync.engine.fence import rehearsal as engine
from hotsync.engine.fence.known import ways
from hotsync.errors import Busy, NotReady, WrongRole
from hotsync.flows.notify import addressee_of, tell
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import HINT, WORDS, Outcome, Rehearsed, is_due, still_of_use
from hotsync.model.identity import Role
from hotsync.report.letters import FENCES, Trouble
from hotsync.state.alerts import AlertBook
from hotsync.state.fences import load_fences, save_fences
from hotsync.state.settings import read_settings
from hotsync.state.store import load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

COMMAND = "hotsync drill --fences"
_MEANING = "After a promotion a MASTER that is only cut off from this server might serve on."
Say = Callable[[str], None]


def rehearse_fences(paths: Paths, clock: Clock, say: Say) -> tuple[Rehearsed, ...]:
    """Try every fence that is set up; return what is known of them then, which is kept and, where it is due, mailed.

    Raise WrongRole or NotReady where there is nobody to fence, Busy while another rehearsal runs.
    """
    role = load_role(paths)
    if role.role is not Role.SLAVE:
        raise WrongRole(role=role.role.in_words, command=COMMAND, wanted="the SLAVE")
    if role.claim is not None:
        raise NotReady(reason="a promotion of it is unfinished", hint="Run hotsync-promote: it goes on.")
    here = ways(paths)
    if not here:
        raise NotReady(reason="no MASTER is paired with it", hint="`hotsync status` says what pairing waits for.")
    with lock.held(paths.run / "fences.lock", "rehearsal of the fences"):
        say("Trying the fences, without stopping anything")
        known = {each.tier: each for each in still_of_use(here, load_fences(paths))}
        tried = set[Tier]()
        for result in engine.rehearse(paths, clock):
            known[result.tier] = result
            tried.add(result.tier)
            say(f"{result.tier}: {WORDS[result.outcome]}: {result.detail}")
        for tier in here:
            if tier not in tried:
                say(f"{tier}: not tried: the MASTER is not there now")
        results = still_of_use(here, known.values())
        save_fences(paths, results)
    _tell(paths, results, clock.now())
    return results


def rehearse_if_due(paths: Paths, clock: Clock, say: Say) -> None:
    """Try the fences if it is time again, unless somebody does so now."""
    settings, _ = read_settings(paths)
    if is_due(ways(paths), load_fences(paths), settings.fence_test_days, clock.now()):
        with suppress(Busy):
            rehearse_fences(paths, clock, say)


def _tell(paths: Paths, results: tuple[Rehearsed, ...], now: float) -> None:
    failed = [each for each in results if each.outcome is Outcome.FAILED]
    said = "; ".join(f"{each.tier}: {each.detail}" for each in failed)
    code = ",".join(each.tier.value for each in failed)
    trouble = Trouble(FENCES, said, failed[0].hint or HINT, _MEANING, code) if failed else None
    settings, _ = read_settings(paths)
    tell(AlertBook(paths), addressee_of(settings, Role.SLAVE), FENCES, trouble, now)
