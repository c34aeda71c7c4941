"""Gives a promotion of this host up: the Undoing port, made real."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from hotsync.backends import loading_guard, production_units
from hotsync.backends.handmade import handmade_units
from hotsync.backends.mute import Mute
from hotsync.backends.network import giving_up
from hotsync.backends.production_units import ProductionUnits, permit_flag
from hotsync.backends.units import COVERAGE_TIMER, HELD_MAIL, HOLD, MASTER_TIMER, STREAM, WATCH, Units
from hotsync.engine.become_slave import become_slave
from hotsync.engine.fence.tiers import say_released
from hotsync.engine.network import before as network_before
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion import folders_before
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.roles import announce_at_boot
from hotsync.engine.undo import databases as undo_databases
from hotsync.engine.undo.files import UndoFiles
from hotsync.engine.undo.keep import Keeping
from hotsync.engine.undo.network import UndoNetwork
from hotsync.engine.watch import mail_folders
from hotsync.errors import CommandFailed, ReplicaError
from hotsync.model.facts import UnitFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.mute import ALWAYS_MUTED, of_master
from hotsync.model.production import to_run
from hotsync.model.promotion import Promotion
from hotsync.model.undo import Undo
from hotsync.sources.facts import read_units
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.hold import drop_hold, hold_network, load_hold
from hotsync.state.network_trial import drop_trial
from hotsync.state.undo import add_undo_note, kept_folder, load_undo, save_undo
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

RUN = "hotsync.service"
_log = logging.getLogger("hotsync.undo")


@dataclass
class UndoHost:
    """This server, as far as giving one promotion up goes; `force`: also without a dump of what cannot be dumped."""

    paths: Paths
    clock: Clock
    promotion: Promotion
    fresh: Undo
    force: bool = False
    own: Units = field(default_factory=Units)
    read_units: Callable[[Paths], tuple[UnitFact, ...]] = read_units

    @cached_property
    def mute(self) -> Mute:
        """Return what holds production."""
        return Mute(self.paths)

    @cached_property
    def network(self) -> UndoNetwork:
        """Return this server's network."""
        return UndoNetwork(self.paths, self.promotion, self._note)

    def begin(self) -> None:
        """Write down, durably, that the promotion is being undone: from here on no boot starts production."""
        announce_at_boot(self.paths, True)
        save_undo(self.paths, self.fresh)

    def hold_boot(self) -> None:
        """A boot came in between: as long as /etc is production's, nothing of it starts, and no network as it says.

        This server has the addresses that it had before the promotion, until it takes its own network again.
        """
        if not document.has_productions_etc(self.paths, self.promotion):
            return
        takes_network = self.promotion.network.choice.takes_addresses
        if takes_network:
            self._hold_network()
        try:
            self.mute.apply(self._production())
        finally:
            if takes_network:
                giving_up.wait_for_cards()
                self.network.give_up()

    def _hold_network(self) -> None:
        """Let no network manager start, which would take what /etc says."""
        hold_network(self.paths)

    def stop_production(self) -> None:
        """Let nothing of production run or start any more, but for the database servers."""
        store.set_production(self.paths, False)
        permit_flag(self.paths).unlink(missing_ok=True)
        for unit in (MASTER_TIMER, COVERAGE_TIMER, STREAM, WATCH):
            self.own.disable(unit)
            self.own.stop(unit)
        self.own.stop(RUN)
        try:
            loading_guard.hold()
        except CommandFailed as error:
            _log.warning("%s", error.sentence)  # who knew this server's own address could still reach a database
        serving = undo_databases.units(self.paths, self.clock) if self._dumps else frozenset[str]()
        self.mute.apply(self._production() - serving)

    @property
    def _dumps(self) -> bool:
        return bool(self._undo.served)

    def _production(self) -> frozenset[str]:
        """Return the units that must not run here, as a SLAVE of this server would hold them.

        With this server's own /etc the mute of hotsync-slave is in force, and what runs besides is this server's own.
        """
        if not document.has_productions_etc(self.paths, self.promotion):
            return frozenset()
        return self.mute.related({*ALWAYS_MUTED, *of_master(self.read_units(self.paths))})

    def give_up_addresses(self) -> None:
        """Take production's addresses away, keeping this server's own; nothing brings them back."""
        self._hold_network()
        self.network.give_up()

    def dump_databases(self) -> None:
        """Dump what the database servers hold, which nobody reaches any more, into what is kept."""
        self._start_databases()
        folder = kept_folder(self.paths, self.promotion.epoch)
        names = undo_databases.dump(self.paths, self.clock, folder, self._note, force=self.force)
        undo = self._undo
        save_undo(self.paths, replace(undo, written=replace(undo.written, servers=names)))

    def _start_databases(self) -> None:
        """A boot in the middle may have started no server; one that does not start is told by its dump."""
        units = ProductionUnits(self.paths, self._note)
        wanted = undo_databases.units(self.paths, self.clock)
        single = [unit for unit in wanted if "@." not in unit]
        down = sorted(production_units.known_units(single) - production_units.active_units())
        if not down:
            return
        units.permit()
        try:
            for unit in down:
                with suppress(CommandFailed):
                    units.start(unit)
        finally:
            permit_flag(self.paths).unlink(missing_ok=True)

    def stop_databases(self) -> None:
        """Let the database servers run no more either."""
        self.mute.apply(self._production())
        with suppress(CommandFailed):
            if loading_guard.is_held():
                loading_guard.admit()

    def note_places(self) -> None:
        """Note what goes back, now that nothing moves any more."""
        undo = self._undo
        if undo.noted:
            return
        places = self._files.look(Ground(self.paths).mounts, served=bool(undo.served))
        save_undo(self.paths, replace(undo, noted=True, places=places))

    def put_back(self, path: str) -> None:
        """Let production's `path` leave, and this server's own come back."""
        place = self._undo.place(path)
        if place is None:
            raise ReplicaError(reason=f"/{path} is nothing that goes back")
        self._files.put_back(place)

    def set_folders(self) -> None:
        """Give the folders that stayed in place what they had before the promotion."""
        folders_before.restore(self.paths, self.promotion)
        self._files.set_times()

    def own_network(self) -> None:
        """Take this server's own host name and network again, as its files in /etc say."""
        self.paths.held_flag.unlink(missing_ok=True)
        self.network.own()

    def reload(self) -> None:
        """Let systemd read this server's own unit files, and kernel and services its settings."""
        units = ProductionUnits(self.paths, self._note)
        units.reload()
        units.apply_settings()

    def keep(self) -> None:
        """Copy what production had written aside, with lists of it."""
        undo = self._undo
        written = self._keeping(undo).keep(undo.places)
        save_undo(self.paths, replace(undo, written=replace(written, servers=undo.written.servers)))

    def _keeping(self, undo: Undo) -> Keeping:
        since = undo.served or undo.began_at
        return Keeping(self.paths, self.promotion, since, mail_folders(Ground(self.paths).profiles))

    def reopen(self) -> None:
        """Let the replica take generations again; what production touched in it is sent anew."""
        undo = self._undo
        made = open_replica(self.paths, self.clock).reopen(undo.served or undo.began_at, self.promotion.epoch)
        undo_databases.forget_loads(self.paths)
        if made is not None:
            save_undo(self.paths, replace(undo, made=made.number))

    def become_slave(self) -> None:
        """Release the epoch, and be a SLAVE for good: the commit point."""
        why = f"the promotion to epoch {self.promotion.epoch} was undone"
        epoch = self.promotion.epoch
        record = RoleRecord(Role.SLAVE, epoch, None, self.clock.now(), why, released=epoch)
        become_slave(self.paths, record, self._undo.master_host, self.own)
        self._end_hold()

    def _end_hold(self) -> None:
        """Whoever heard of a higher epoch meanwhile was held as the MASTER that it was; a SLAVE is not."""
        if load_hold(self.paths) is None:
            return
        drop_hold(self.paths)
        for unit in (HOLD, HELD_MAIL):  # they stay active after their work
            self.own.stop(unit)

    def finish(self) -> None:
        """Start what ran before the promotion, remove what is left of it, and close the document."""
        self._end_hold()
        self._start_own()
        if document.load_promotion(self.paths) is not None:
            self._files.clean()
            folder = kept_folder(self.paths, self.promotion.epoch)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(document.document_path(self.paths), folder / "promotion.json")
        say_released(self.paths, self.clock, self.promotion.epoch)
        folders_before.forget(self.paths)
        network_before.forget(self.paths)
        drop_trial(self.paths)
        announce_at_boot(self.paths, False)
        undo = self._undo
        if not undo.finished_at:
            save_undo(self.paths, replace(undo, finished_at=self.clock.now()))

    def _start_own(self) -> None:
        """Start what ran here before the claim and was stopped since; what is held does not start."""
        units, active = ProductionUnits(self.paths, self._note), production_units.active_units()
        before = to_run(self.promotion.running, handmade_units(self.paths.root))
        units.restart_all(sorted(unit for unit in before if unit in active and unit.endswith(".service")))
        units.start_all(sorted(unit for unit in before if unit not in active))

    @property
    def _files(self) -> UndoFiles:
        return UndoFiles(self.paths, self.promotion)

    @property
    def _undo(self) -> Undo:
        undo = load_undo(self.paths)
        if undo is None:
            raise ReplicaError(reason="there is no undo to work on", hint="Run hotsync-promote --undo.")
        return undo

    def _note(self, note: str) -> None:
        add_undo_note(self.paths, note)
