"""A superseded MASTER that becomes the SLAVE: what the steps of a rejoin do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from hotsync.backends.units import OwnUnits, Units
from hotsync.engine.become_slave import become_slave
from hotsync.engine.rejoin.files import RejoinFiles
from hotsync.engine.rejoin.nethserver import write_database
from hotsync.engine.rejoin.network import LiveNetwork, keep_place, write_files, write_host_name
from hotsync.engine.rejoin.room import check_room
from hotsync.engine.rejoin.terms import callees, limits_of
from hotsync.engine.rejoin.vault import ROOM, Vault
from hotsync.engine.rejoin.vault_databases import Confine, DatabaseVault, confined
from hotsync.engine.rejoin.work import drop_part, drop_work
from hotsync.engine.undo.databases import forget_loads
from hotsync.engine.watch import Watched, watched_here
from hotsync.errors import HotSyncError, PeerRefused, PeerUnreachable, ReplicaError
from hotsync.manifest.changeset_file import digest_of_file, read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.rejoin import Rejoin
from hotsync.model.selection import Selection
from hotsync.model.sync_rules import Standing, Start, where_to_start
from hotsync.state import rejoin as document
from hotsync.state import store
from hotsync.state.hold import drop_hold
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.coming_back import ask_terms, fetch_manifest, tell_rejoined
from hotsync.transport.dial import Callee


class Network(Protocol):
    """What a rejoin asks of the running network."""

    @property
    def set_name(self) -> Callable[[str], None]:
        """Return what makes a name this host's."""
        ...

    def holders(self, own: Iterable[Address]) -> Mapping[str, str]:
        """Return which of these addresses somebody else has, each with that one's hardware address."""
        ...

    def wait_until_free(self, own: Iterable[Address]) -> None:
        """Wait until nobody else has any of these addresses; raise AddressTaken if that takes too long."""
        ...

    def take(self, own: Iterable[Address], gateways: Iterable[Address]) -> None:
        """Take addresses, once nobody else has them; raise AddressTaken while somebody does."""
        ...


@dataclass
class RejoinHost:
    """One server on its way from superseded MASTER to SLAVE. Cut anywhere, doing it again does the rest."""

    paths: Paths
    clock: Clock
    own: OwnUnits = field(default_factory=Units)
    network: Network | None = None
    after_hold: Callable[[], None] = lambda: None
    confine: Confine = confined
    read_watched: Callable[[Paths], Watched] | None = None

    @cached_property
    def _watched(self) -> Watched:
        if self.read_watched is not None:
            return self.read_watched(self.paths)
        # whatever MailQueue says: mail that waits here is delivered by nobody any more, and must not be twice
        return watched_here(self.paths, mail_queue=True)

    @cached_property
    def _files(self) -> RejoinFiles:
        return RejoinFiles(self.paths, self.clock, self._selection)

    def _selection(self) -> Selection:
        return self._watched.selected.rules

    def begin(self, rejoin: Rejoin) -> None:
        """Write down what is going to be done; what an earlier attempt has left is nothing to compare with."""
        drop_work(self.paths, "")
        document.save_rejoin(self.paths, rejoin)

    def keep_files(self) -> None:
        """Put what the new MASTER never received into the vault, unless it is there."""
        rejoin = self._rejoin()
        place = Path(rejoin.vault)
        if place.is_dir():
            drop_work(self.paths, "")  # it was cut right after the vault had come to its place
            return
        self._meet(rejoin)
        vault = Vault(self.paths, self.clock, place, self._watched)
        try:
            vault.start()
            databases = DatabaseVault(self.paths, self.clock, vault.part, self.confine)
            vault.keep(rejoin.terms.epoch, databases.keep(vault.keep_directories))
        except (HotSyncError, OSError) as error:
            full = vault.is_full
            drop_part(rejoin.vault)  # it is made anew: half of it would only take everybody's room
            if full and not isinstance(error, ReplicaError):
                said = error.sentence if isinstance(error, HotSyncError) else str(error)
                raise ReplicaError(reason=f"the vault has no room in {place.parent}: {said}", hint=ROOM) from error
            raise
        databases.forget()

    def _meet(self, rejoin: Rejoin) -> None:
        """Have the manifest of the very generation that the new MASTER goes on from, whatever was lost on the way."""
        terms = rejoin.terms
        theirs = Standing(terms.generation, terms.digest)
        outbox = self.paths.outbox / f"{terms.generation}.changes"
        fetched = self.paths.state / "rejoin.manifest"
        with Manifest(self.paths.manifest) as manifest:
            ours = Standing(manifest.generation, manifest.digest)
            sent = Standing(terms.generation, digest_of_file(outbox, ours.digest)) if outbox.exists() else None
            match where_to_start(ours, theirs, sent):
                case Start.SAME:
                    pass
                case Start.OUTBOX:
                    manifest.apply(read_changes(outbox), theirs.generation, theirs.digest)
                case Start.FETCH:
                    self._ask_master(lambda callee: fetch_manifest(callee, self.clock, limits_of(self.paths), fetched))
                    changes = read_changes(fetched)
                    entries = (change.entry for change in changes if change.entry is not None)
                    manifest.replace(entries, theirs.generation, theirs.digest)
        fetched.unlink(missing_ok=True)

    def make_replica(self) -> None:
        """Have an empty replica that takes nothing yet. The MASTER is told before: it stays the MASTER from then on.

        Raise ReplicaError if what is copied to it has no room (the vault has taken its own by now), PeerError where the
        MASTER does not hear or refuses: nothing has moved.
        """
        check_room(self.paths, self._rejoin().to_copy)
        self._say_that_it_moves()
        self._files.make_replica()

    def _say_that_it_moves(self) -> None:
        ours, told = self._rejoin().terms.epoch, list[int]()

        def say(callee: Callee) -> None:
            told.append(ask_terms(callee, self.clock, limits_of(self.paths), moves=True)[1].epoch)

        try:
            self._ask_master(say)
        except PeerRefused as error:
            document.drop_rejoin(self.paths)
            hint = f"Nothing has moved here, and nothing of production runs. {error.hint}"
            raise PeerRefused(reason=error.facts.get("reason"), hint=hint) from error
        if told != [ours]:
            document.drop_rejoin(self.paths)
            raise PeerRefused(
                reason=f"it is at epoch {told[-1]} by now, and was at {ours} when this rejoin began",
                hint="Nothing has moved here. Run hotsync rejoin again: it begins anew.",
            )

    def move(self, path: str) -> None:
        """Bring one part of this server's data into the replica's tree."""
        self._files.move(path)

    def hold_generation(self) -> None:
        """Make the tree the generation that the new MASTER goes on from; what this server kept as MASTER goes."""
        self._files.hold_generation()
        forget_loads(self.paths)  # the servers' files have been in production since
        for name in ("sent.json", "proofs.json", "collected.json", "slave-run.json"):
            (self.paths.state / name).unlink(missing_ok=True)

    def clear(self, path: str) -> None:
        """Remove what was copied to the tree from another file system."""
        self._files.clear(path)

    def become_slave(self) -> None:
        """Change the role, with all that follows from it; the hold ends with that."""
        rejoin = self._rejoin()
        why = f"came back as SLAVE by hotsync rejoin, at epoch {rejoin.terms.epoch}"
        since = store.load_role(self.paths).since if self._is_slave() else self.clock.now()
        record = RoleRecord(Role.SLAVE, rejoin.terms.epoch, None, since, why)
        if peer := store.load_peer(self.paths):
            store.save_peer(self.paths, replace(peer, address=rejoin.master_host))
        become_slave(self.paths, record, rejoin.master_host, self.own)
        self.paths.held_flag.unlink(missing_ok=True)
        drop_hold(self.paths)
        self.after_hold()

    def _is_slave(self) -> bool:
        return store.load_role(self.paths).role is Role.SLAVE

    def tell_master(self) -> None:
        """Tell the new MASTER where its SLAVE is, and wait until it has let that address go: from then on this server's
        files may say it, and a boot takes it.

        Raise PeerError while it has the address and does not hear, AddressTaken while somebody keeps it all the same.
        One that is nowhere does not keep this server from finishing.
        """
        rejoin = self._rejoin()
        address = rejoin.own[0].address
        try:
            self._ask_master(lambda callee: tell_rejoined(callee, self.clock, limits_of(self.paths), address))
        except PeerUnreachable:
            if self._network.holders(rejoin.own):
                raise  # it lives, and has the address still
            self._note_that_nobody_heard(rejoin, address)
        except PeerRefused as error:
            raise PeerRefused(
                reason=f"{error.facts.get('reason')} (this server's data lies in its replica already)",
                hint="If its promotion was undone nobody is the MASTER: run `hotsync-promote` there, then "
                "`hotsync rejoin` here, which goes on. Else see `hotsync status` there.",
            ) from error
        self._network.wait_until_free(rejoin.own)

    def _note_that_nobody_heard(self, rejoin: Rejoin, address: str) -> None:
        kept = address in {each.address for each in rejoin.terms.standby}
        note = (
            f"The MASTER answered nowhere, and nobody has {address}: when it is there, "
            f"`config setprop hotsync SlaveHost {address}` and `signal-event nethserver-hotsync-save` on it."
        )
        clash = (
            " Until then it has that address, too, as soon as it starts: do this at its console, or by an address of "
            "production's."
        )
        document.add_note(self.paths, note + clash if kept else note)

    @property
    def _network(self) -> Network:
        return self.network or LiveNetwork(self.paths, self.clock)

    def _ask_master(self, ask: Callable[[Callee], None]) -> None:
        rejoin = self._rejoin()
        last: HotSyncError = PeerUnreachable(address=rejoin.master_host, port=0, reason="no address of it is known")
        for callee in callees(self.paths, rejoin.terms.epoch, (rejoin.master_host,)):
            try:
                ask(callee)
            except PeerUnreachable as error:
                last = error
            else:
                return
        raise last

    def write_network(self) -> None:
        """Make the files of this server's network say that it is the SLAVE; what they were is kept in the vault."""
        rejoin, etc = self._rejoin(), self.paths.at("/etc")
        keep = keep_place(Path(rejoin.vault))
        write_files(etc, dict(rejoin.files), keep)
        write_database(self.paths, dict(rejoin.database), rejoin.given_up, keep)
        write_host_name(etc, rejoin.name)

    def take_addresses(self) -> None:
        """Take this server's own addresses, and its name."""
        rejoin = self._rejoin()
        self._network.take(rejoin.own, rejoin.gateways)
        self._network.set_name(rejoin.name)

    def finish(self) -> None:
        """Close the document of the rejoin."""
        rejoin = self._rejoin()
        if not rejoin.finished_at:
            document.save_rejoin(self.paths, replace(rejoin, finished_at=self.clock.now()))

    def _rejoin(self) -> Rejoin:
        rejoin = document.load_rejoin(self.paths)
        if rejoin is None:
            raise ReplicaError(reason="there is no rejoin to work on", hint="Run hotsync rejoin.")
        return rejoin
