"""Role, epoch and claim of this host: the Roles port of a promotion."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from hotsync.backends import yum_plugin
from hotsync.backends.packages import detect
from hotsync.backends.production_units import permit_flag
from hotsync.backends.units import DAEMON, DRILL_TIMER, MASTER_TIMER, SLAVE_TIMER, STREAM, WATCH, Units
from hotsync.engine.fence.switched_off import Say
from hotsync.engine.fence.tiers import fence
from hotsync.engine.one_master.switchover import confirm
from hotsync.engine.open_replica import open_replica
from hotsync.errors import CommandFailed, HandOverFailed, NotPromotable, StaleEpoch, WrongRole
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.configdb import configuration
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

BOOT_UNIT = "hotsync-unfinished.service"

_log = logging.getLogger("hotsync.roles")


class PromotionRoles:
    """The commit point of a promotion."""

    def __init__(self, paths: Paths, clock: Clock, claim_until: float | None = None, say: Say = _log.info) -> None:
        """`claim_until`: a MASTER that hands over waits for the claim until then, by our monotonic clock.

        `say` tells what is waited for.
        """
        self._paths = paths
        self._clock = clock
        self._claim_until = claim_until
        self._say = say

    def claim(self, promotion: Promotion) -> None:
        """Take the promotion's epoch durably; raise StaleEpoch, WrongRole, NotPromotable if a generation came."""
        paths = self._paths
        replica = open_replica(paths, self._clock)
        # held, it is rolled forward, and nobody commits; closed before it is let go, nobody ever will on this tree
        with replica.hold() as opened:
            role = store.load_role(paths)
            if role.role is not Role.SLAVE:
                raise WrongRole(role=role.role.in_words, command="hotsync-promote", wanted="the SLAVE")
            if role.highest_epoch >= promotion.epoch:
                raise StaleEpoch(ours=promotion.epoch, theirs=role.highest_epoch)
            if opened.manifest.generation != promotion.generation:
                raise NotPromotable(
                    reason=f"generation {opened.manifest.generation} has arrived since the plan was made",
                    hint="The MASTER is alive and syncing. Switch it off, then run hotsync-promote again.",
                )
            if self._claim_until is not None and self._clock.monotonic() > self._claim_until:
                raise HandOverFailed(
                    reason="it waited as long as it may for the claim",
                    hint="On the MASTER: config setprop hotsync HandOverSeconds 600; then run it again.",
                )
            _rotate_aside(paths.state / "aside")
            document.save_promotion(paths, promotion)
            announce_at_boot(paths, True)
            # from here on it is claimed: one rename
            why = f"promotion from generation {promotion.generation} claimed"
            store.save_role(paths, replace(role, claim=promotion.epoch, since=self._clock.now(), why=why))
            replica.close(why)

    def fence(self) -> None:
        """Keep the old MASTER from serving, by every way that is left; what came of each is written down.

        In a switchover raise NotHandedOver unless the MASTER says that it had stood still.
        """
        promotion = document.load_promotion(self._paths)
        if promotion is None or not promotion.planned:
            fence(self._paths, self._clock, self._say)
        elif promotion.awaits_confirmation:
            said = confirm(self._paths, self._clock, promotion.epoch)
            document.add_fence(self._paths, FenceResult(Tier.AGENT, True, said))

    def become_master(self, epoch: int) -> None:
        """Write role MASTER at `epoch` and end the claim: one rename."""
        why = "promoted by hotsync-promote"
        store.save_role(self._paths, RoleRecord(Role.MASTER, epoch, None, self._clock.now(), why))

    def settle(self) -> None:
        """Make true what follows from the role; done already is fine."""
        settle_role(self._paths)
        _arrange_units()

    def finish(self) -> None:
        """Close the promotion's document, last of all: what is left to do must be found until it is done."""
        permit_flag(self._paths).unlink(missing_ok=True)  # this boot's only, so there is nothing to sync
        announce_at_boot(self._paths, False)
        promotion = document.load_promotion(self._paths)
        if promotion is not None and not promotion.finished_at:
            document.save_promotion(self._paths, replace(promotion, finished_at=self._clock.now()))


def settle_role(paths: Paths) -> None:
    """Given a host whose role is MASTER, set the production flag, make the settings say so, and take away what an
    install on the SLAVE that was cut left: with it no package's service would ever be restarted here.

    While its promotion is unfinished they lose the SLAVE, too; afterwards a SLAVE that is named there is a new one.
    """
    role = store.load_role(paths)
    if role.role is not Role.MASTER:
        return
    store.set_production(paths, True)
    detect.manager_of(paths).tidy()
    if switched := yum_plugin.follow(paths, role.role):
        _log.info("%s", switched)
    if document.unfinished_promotion(paths, role) is None:
        configuration(paths).set_props("hotsync", {"role": "master"})
    elif not is_settled(paths):
        # no SLAVE is known until the other server has rejoined: nothing is sent to an address that may be its own
        configuration(paths).set_props("hotsync", {"role": "master", "SlaveHost": "", "MasterHost": ""})


def _arrange_units() -> None:
    """Let HotSync's own units follow: the daemon reads the new role, nothing is sent while no SLAVE is known."""
    units = Units()
    try:
        for unit in (SLAVE_TIMER, DRILL_TIMER, MASTER_TIMER, STREAM, WATCH):
            units.disable(unit)
            units.stop(unit)
        units.enable(DAEMON)
        units.renew(DAEMON)
    except CommandFailed as error:
        _log.warning("HotSync's own units did not follow the role: %s", error.sentence)


def is_settled(paths: Paths) -> bool:
    """Return whether everything that follows from role MASTER is true."""
    props = configuration(paths).props(["hotsync"]).get("hotsync", {})
    return paths.production_flag.exists() and props.get("role") == "master" and not props.get("MasterHost")


def announce_at_boot(paths: Paths, wanted: bool) -> None:
    """Let a boot in the middle of a promotion say so, durably; the link is part of the prepared /etc, too."""
    link = paths.at(f"/etc/systemd/system/sysinit.target.wants/{BOOT_UNIT}")
    if wanted:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"/lib/systemd/system/{BOOT_UNIT}")
    elif link.is_symlink():
        link.unlink()
    if link.parent.is_dir():
        files.sync_directory(link.parent)


def _rotate_aside(aside: Path) -> None:
    """What an earlier promotion set aside keeps its place under a number, so that this one starts empty."""
    if not aside.is_dir() or not os.listdir(aside):
        return
    number = 1
    while os.path.lexists(f"{aside}.{number}"):
        number += 1
    os.rename(aside, f"{aside}.{number}")
    files.sync_directory(aside.parent)
