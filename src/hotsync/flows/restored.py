"""The event `post-restore-data`: the manual's step after a promotion. It may be repeated without harm.

In the original this event loaded databases once more, over what users had done since. Here a promotion has loaded them
already, before anybody could work; what is left is to make true what follows from the role, to start what should run,
to make anew what is made from files, and to ask every check again.
"""

from __future__ import annotations

from collections.abc import Callable

from hotsync.backends import production_units, rebuild
from hotsync.engine.one_master.hold import refuse_if_held
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.facts import check_names
from hotsync.engine.promotion.host import PromotionParts
from hotsync.engine.promotion.roles import settle_role
from hotsync.errors import NotReady, WrongRole
from hotsync.model.identity import Role
from hotsync.model.production import start_waves, units_to_start
from hotsync.model.report import Verdict
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.system.paths import Paths


def post_restore_data(paths: Paths, say: Callable[[str], None]) -> None:
    """Complete a promotion on this MASTER; raise WrongRole elsewhere, NotReady while a promotion is unfinished."""
    role = store.load_role(paths)
    refuse_if_held(paths)
    if role.claim is not None or document.unfinished_promotion(paths, role) is not None:
        raise NotReady(
            reason="a promotion is not finished", hint="Run hotsync-promote: it goes on where it stopped; then this."
        )
    if role.role is not Role.MASTER:
        raise WrongRole(role=role.role.in_words, command="post-restore-data", wanted="the MASTER")
    settle_role(paths)
    parts = promotion_host.build(paths)
    for each in parts.ground.rebuilds:
        if fault := rebuild.make(each.make, each.paths):
            say(fault)
    promotion = document.claimed_promotion(paths, role)
    if promotion is None:
        say("This MASTER was not promoted: there is nothing to complete.")
        return
    _start(parts, say)
    _check(parts, say)


def _start(parts: PromotionParts, say: Callable[[str], None]) -> None:
    wanted = parts.ground.wanted
    missing = units_to_start(wanted, production_units.known_units(wanted), production_units.active_units())
    if missing:
        say(f"Starting {', '.join(missing)}")
        for wave in start_waves(missing, (profile.services.start for profile in parts.ground.profiles)):
            parts.host.services.start_all(wave)


def _check(parts: PromotionParts, say: Callable[[str], None]) -> None:
    for name in check_names(parts.ground):
        parts.host.checks.run(name)
    promotion = document.load_promotion(parts.paths)
    for check in promotion.checks if promotion else ():
        answer = f": {check.detail}" if check.detail else ""
        say(f"{check.verdict.value}: {check.title}{answer}")
        if check.verdict is not Verdict.GREEN and check.hint:
            say(f"    {check.hint}")
