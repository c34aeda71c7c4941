"""Every path that HotSync owns or reads by a fixed name, below one movable root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hotsync.system.platform import Platform, read_platform


@dataclass(frozen=True, slots=True)
class Paths:
    """The places of one host; `root` is `/` except in tests."""

    root: Path = Path("/")

    def at(self, absolute: str) -> Path:
        """Given an absolute path of the host, return where it lies below the root."""
        return self.root / absolute.lstrip("/")

    def platform(self) -> Platform:
        """Return what kind of system this is."""
        return read_platform(self.root)

    @property
    def state(self) -> Path:
        """Everything that HotSync keeps."""
        return self.at("/var/lib/hotsync")

    @property
    def run(self) -> Path:
        """Locks, sockets and what lives until the next boot."""
        return self.at("/run/hotsync")

    @property
    def databases(self) -> Path:
        """The folder of the e-smith databases: NethServer's own where there is one."""
        theirs = self.platform().databases
        return self.state / "db" if theirs is None else self.at(theirs)

    @property
    def configuration(self) -> Path:
        """The configuration database."""
        return self.databases / "configuration"

    @property
    def role_file(self) -> Path:
        """Role, epoch, claim: the commit point of a promotion."""
        return self.state / "role.json"

    @property
    def peer_file(self) -> Path:
        """The paired server."""
        return self.state / "peer.json"

    @property
    def hold_file(self) -> Path:
        """There while this server, a MASTER that was superseded, holds itself: since when and why."""
        return self.state / "held.json"

    @property
    def hold_of_this_boot(self) -> Path:
        """The same, where the disk takes nothing: it is written down for this boot at least."""
        return self.run / "held.json"

    @property
    def released_file(self) -> Path:
        """On a MASTER: there from hearing that the other server gave its promotion up until it is acted upon."""
        return self.state / "released.json"

    @property
    def undo_file(self) -> Path:
        """What the last undo of a promotion does, or has done."""
        return self.state / "undo.json"

    @property
    def undone(self) -> Path:
        """What was written in production before a promotion was undone, by the epoch that it had."""
        return self.state / "undone"

    @property
    def held_flag(self) -> Path:
        """There, in this boot, while the network is not to be set up: addresses of production are given up."""
        return self.run / "held"

    @property
    def tls(self) -> Path:
        """Our certificate and key."""
        return self.state / "tls"

    @property
    def manifest(self) -> Path:
        """The committed generation's manifest."""
        return self.state / "manifest.db"

    @property
    def spool(self) -> Path:
        """What the MASTER collected for the next generation."""
        return self.state / "spool"

    @property
    def shadows(self) -> Path:
        """On the MASTER: sound copies of SQLite and TDB files, which a run sees at the paths of the live ones."""
        return self.state / "shadows"

    @property
    def frozen(self) -> Path:
        """On the MASTER: copies of databases that are paused for it, which runs see in the place of the live ones."""
        return self.state / "frozen"

    @property
    def collecting(self) -> Path:
        """Where a collected file waits until its dataset is complete; beside the spool, out of the walk."""
        return self.state / "collecting"

    @property
    def collected(self) -> Path:
        """When each dataset was last collected: the age of a stale one."""
        return self.state / "collected.json"

    @property
    def proofs(self) -> Path:
        """What proves that a database server did not change since it was dumped."""
        return self.state / "proofs.json"

    @property
    def coverage(self) -> Path:
        """On the MASTER: what nothing protects, as it was found last."""
        return self.state / "coverage.json"

    @property
    def runbook(self) -> Path:
        """What a person needs to read on the worst day: made on the SLAVE, and kept on both."""
        return self.state / "runbook.txt"

    @property
    def phone_book(self) -> Path:
        """Whom to call on that day, a line each, written by the administrator."""
        return self.at("/etc/hotsync/phone-book")

    @property
    def loss_seen(self) -> Path:
        """On the MASTER: what its watch last saw to be newer than the last generation."""
        return self.run / "loss.json"

    @property
    def loss_told(self) -> Path:
        """On the SLAVE: what its MASTER last told to be newer than the last generation."""
        return self.state / "loss.json"

    @property
    def back_file(self) -> Path:
        """Of which older generation the newest one here was made."""
        return self.state / "back.json"

    @property
    def loss_undone(self) -> Path:
        """What going back to an older generation undid, for the promotion that was made with it."""
        return self.state / "loss-undone.json"

    @property
    def site_memory(self) -> Path:
        """What the site's lists and plugins said last: it holds while one of them fails."""
        return self.state / "site.json"

    @property
    def outbox(self) -> Path:
        """On the MASTER: changesets that the SLAVE has not confirmed yet."""
        return self.state / "outbox"

    @property
    def incoming(self) -> Path:
        """On the SLAVE: changesets while they come in, each a file of its session's own."""
        return self.state / "incoming"

    @property
    def replica(self) -> Path:
        """On the SLAVE: tree, staging, history, journal."""
        return self.state / "replica"

    @property
    def install_under_way(self) -> Path:
        """On the SLAVE: there while packages are installed, and after an install that was cut."""
        return self.state / "install-under-way"

    @property
    def package_files(self) -> Path:
        """On the SLAVE: the files of the packages that hotsync-slave installed, so that nothing needs a network."""
        return self.state / "packages"

    @property
    def streamed(self) -> Path:
        """On the SLAVE: which standbys a promotion has taken over."""
        return self.state / "streamed.json"

    @property
    def lacking(self) -> Path:
        """On the MASTER: why it could not become the SLAVE after a switchover."""
        return self.state / "lacking.json"

    @property
    def streaming(self) -> Path:
        """On the MASTER: what streaming has made on its MariaDB servers."""
        return self.state / "streaming.json"

    @property
    def warm(self) -> Path:
        """On the SLAVE: which databases are loaded beforehand."""
        return self.state / "warm.json"

    @property
    def yum_plugin(self) -> Path:
        """On a SLAVE that is a NethServer: what its yum plugin's switch said before it was turned off."""
        return self.state / "yum-plugin"

    @property
    def drill(self) -> Path:
        """On the SLAVE: what the last drill found."""
        return self.state / "drill.json"

    @property
    def drills(self) -> Path:
        """On the SLAVE: a line of each drill."""
        return self.state / "drills.jsonl"

    @property
    def fences(self) -> Path:
        """On the SLAVE: what came of the fences when they were tried last."""
        return self.state / "fences.json"

    @property
    def drill_room(self) -> Path:
        """Where a drill sees its sandbox; nothing is mounted there for anybody else."""
        return self.run / "drill"

    @property
    def production_flag(self) -> Path:
        """There only while this host may do production."""
        return self.state / "production"

    @property
    def runs(self) -> Path:
        """One row a run."""
        return self.state / "runs.db"

    @property
    def backup(self) -> Path:
        """Where backup-config puts its archive."""
        theirs = self.platform().backup
        return self.state / "spool" / "backup-config" if theirs is None else self.at(theirs)

    @property
    def sync_lock(self) -> Path:
        """Held by a run of hotsync, hotsync-slave or hotsync-promote on this host."""
        return self.run / "run.lock"

    @property
    def rejoin_lock(self) -> Path:
        """Held by the `hotsync rejoin` that makes this server the SLAVE: another call shows what that one does."""
        return self.run / "rejoin.lock"

    @property
    def replica_lock(self) -> Path:
        """Held by whoever changes or reads the replica as a whole."""
        return self.run / "replica.lock"

    @property
    def receive_socket(self) -> Path:
        """Where the confined receiver waits for a bulk connection."""
        return self.run / "receive.sock"

    @property
    def streams(self) -> Path:
        """On the SLAVE: for each database server that is streamed, a folder with the socket that leads to it."""
        return self.run / "stream"

    @property
    def plugins(self) -> Path:
        """The site's plugins."""
        return self.at("/etc/hotsync.d")

    @property
    def site_profiles(self) -> Path:
        """The site's profiles."""
        return self.at("/etc/hotsync/profiles.d")

    @property
    def site_events(self) -> Path:
        """The site's event actions."""
        return self.at("/etc/hotsync/events")


def from_environment() -> Paths:
    """Return the places of this host; HOTSYNC_ROOT moves them (tests only)."""
    return Paths(Path(os.environ.get("HOTSYNC_ROOT", "/")))
