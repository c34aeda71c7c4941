"""The room of a drill: builds the sandbox, has it promoted, asks it, and reports; ends with nothing left.

It runs in a process of its own that was born into a network and a view of the file systems which nobody else has.
Whatever it mounts, boots and connects is gone with it, however it ends.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.backends import container, sandbox, sandbox_network
from hotsync.backends.container import Machine
from hotsync.engine.drill.client import open_ports
from hotsync.engine.drill.inside import Inside
from hotsync.engine.promotion.facts import UNITS_CHECK
from hotsync.errors import CommandFailed
from hotsync.model.disk_tables import FSTAB, MAPPED, OWN_UNITS, UNITS
from hotsync.model.drill import Stage
from hotsync.model.drill_room import RoomPlan
from hotsync.model.plan import Outcome
from hotsync.model.promotion import Promotion
from hotsync.model.report import Check, Verdict
from hotsync.replica.layout import Layout
from hotsync.state import promotion as document
from hotsync.state.configdb import ConfigDb
from hotsync.state.warm import load_warm, note_warm, untouched
from hotsync.system import command, files, trees
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class _Error:
    sentence: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Ended:
    """What of the promotion's own document is of use: why it did not come to its end."""

    error: _Error | None = None


PIN = "drill"
"""The name of the pinned tree."""

_PROGRAM = "/usr/bin/hotsync"
_PROMOTE = "/usr/bin/hotsync-promote"
# all that a promotion reads of HotSync's own folders; what else is one holds data, a vault or what was undone
_FOLDERS = frozenset({"db"})
# large, of no use to a promotion, or (the peer) the way to somebody outside
_NOT_TAKEN = frozenset({
    "peer.json", "promotion.json", "runs.db", "runs.db-wal", "runs.db-shm", "runs.db.damaged", "drill.json",
    "drills.jsonl", "manifest.db", "manifest.db-wal", "manifest.db-shm", "rejoin.manifest", "fences.json",
})  # fmt: skip
_REACHES_OUT = ("NotifyRelay", "FenceSsh", "FenceCommand", "FenceTest", "NetworkProbe", "InternetProbe")
_MOUNT_TABLES = (FSTAB, *MAPPED)
_CHECKS = TypeAdapter(tuple[Check, ...])
_INSIDE = TypeAdapter(Inside)
_ENDED = TypeAdapter(_Ended)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RoomResult:
    """What came of the room: as in DrillReport, and what of the promotion is only to be known."""

    checks: tuple[Check, ...] = ()
    stages: tuple[Stage, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rto: float = 0.0


@dataclass
class DrillRoom:
    """One drill's room on this host."""

    paths: Paths
    plan: RoomPlan
    clock: Clock
    say: Say
    stages: list[Stage] = field(default_factory=list[Stage])
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock.monotonic()

    @property
    def left(self) -> float:
        """Return how many seconds this drill may still take; what would begin later is ended at once."""
        return max(1.0, self.begun + self.plan.seconds - self.clock.monotonic())

    def run(self) -> RoomResult:
        """Rehearse; raise HotSyncError or OSError if there is no sandbox to rehearse in."""
        room = self.paths.drill_room
        container.keep_apart()
        with self._stage("build", "the sandbox is built"):
            sandbox.mount_disk(self.paths.state, room, self.plan.size)
            root = self._build(room)
        with sandbox_network.client_seat() as seat:
            with self._stage("network", "its network is laid"):
                sandbox_network.lay_cables(seat, self.plan.cards)
            begun = self.clock.monotonic()
            with container.booted(root, self.plan.host_name, room / "console", self.clock) as machine:
                self.say("Booting the sandbox")
                container.wait_until_up(machine, self.clock)
                self._note("boot", "the sandbox boots as this SLAVE", self.clock.monotonic() - begun)
                return self._rehearse(machine, root, seat)

    @contextmanager
    def _stage(self, name: str, title: str) -> Iterator[None]:
        self.say(title[:1].upper() + title[1:])
        begun = self.clock.monotonic()
        yield
        self._note(name, title, self.clock.monotonic() - begun)

    def _note(self, name: str, title: str, seconds: float) -> None:
        self.stages.append(Stage(name, title, round(seconds, 3)))

    # --- the sandbox --------------------------------------------------------------------------------------------------

    def _build(self, room: Path) -> Path:
        """Build what the sandbox sees, and return its root."""
        covers = sandbox.Covers(room, self.plan.covers)
        state = Path(os.path.realpath(self.paths.state))
        over = covers.over(state)
        fresh = over.empty(state)
        self._take_state(fresh)
        layout = Layout(state / "replica")
        (fresh / "replica").mkdir(mode=0o700)
        over.show(layout.pins / PIN, layout.tree)
        for folder in self.plan.emptied:
            path = Path(os.path.realpath(self.paths.at(folder)))
            if path.is_dir():
                covers.over(path).empty(path)
        covers.mount()
        self._cut_ways_out(covers.root)
        self._keep_loaded(covers.root)
        return covers.root

    def _take_state(self, fresh: Path) -> None:
        """Give the sandbox what HotSync knows here, but for what it needs not."""
        for item in sorted(self.paths.state.iterdir()):
            if is_taken(item):
                trees.copy_exactly(item, fresh / item.name)
        # made while the replica was held: of one generation with the pinned tree
        trees.copy_exactly(pinned_manifest(self.paths), fresh / self.paths.manifest.name)

    def _cut_ways_out(self, root: Path) -> None:
        """Take from the sandbox's settings what would reach out, and its disks' tables: they are mounted already."""
        inside = Paths(root)
        # not by the way that writes each change to this host's system log
        ConfigDb(inside.configuration).set_props("hotsync", dict.fromkeys(_REACHES_OUT, ""))
        take_mounts(inside)
        take_password(inside)
        journal = inside.at("/var/log/journal")
        if journal.is_dir():
            for folder in journal.iterdir():
                trees.remove(folder)

    def _keep_loaded(self, root: Path) -> None:
        """What is loaded beforehand is so in the sandbox, too; there its files have other numbers."""
        inside = Paths(root)
        for name, server in load_warm(self.paths).items():
            folder = Path(server.directory)
            if untouched(server, folder):
                note_warm(inside, name, replace(server, fingerprint=trees.fingerprint(inside.at(server.directory))))

    # --- the rehearsal ------------------------------------------------------------------------------------------------

    def _rehearse(self, machine: Machine, root: Path, seat: int) -> RoomResult:
        self.say("Promoting the sandbox")
        begun = self.clock.monotonic()
        try:
            ended = command.run(machine.inside([_PROMOTE, "--yes", "--json"]), ok=range(256), timeout=self.left)
        except CommandFailed as error:  # it hangs: what it has done before tells where
            self._note("promotion", "the promotion did not come to its end", self.clock.monotonic() - begun)
            promotion = document.load_promotion(Paths(root))
            return self._result(promotion, [not_promoted(error.sentence, promotion)])
        rto = self.clock.monotonic() - begun
        promotion = document.load_promotion(Paths(root))
        if ended.returncode not in (0, 1) or promotion is None or not promotion.finished_at:
            self._note("promotion", "the promotion did not come to its end", rto)
            return self._result(promotion, [not_promoted(ended.text, promotion)])
        self._note("promotion", "the promotion, from the command to its end", rto)
        checks: list[Check] = [Check("promotion.done", "the promotion comes to its end", Verdict.GREEN, f"{rto:.0f} s")]
        with self._stage("count", "its databases are counted"):
            inside = self._inside(machine)
        for address in (*self.plan.asked, *self.plan.reached):
            with self._stage(f"client.{address}", f"a client asks at {address}"):
                checks += self._client(machine, seat, address, services=address in self.plan.asked)
        result = self._result(promotion, [*checks, *inside.checks], inside.not_contained)
        return replace(result, rto=round(rto, 3))

    def _result(
        self, promotion: Promotion | None, checks: list[Check], not_contained: tuple[str, ...] = ()
    ) -> RoomResult:
        done = promotion.checks if promotion else ()
        steps = promotion.records if promotion else ()
        return RoomResult(
            checks=(*checks, *(judged(check, not_contained) for check in done)),
            stages=(
                *self.stages,
                *(Stage(step.key, step.title, round(step.ended_at - step.started_at, 3), True) for step in steps),
            ),
            left_out=tuple(f"{unit}: no container can run it" for unit in not_contained),
            notes=promotion.notes if promotion else (),
        )

    def _inside(self, machine: Machine) -> Inside:
        asked = machine.inside([_PROGRAM, "drill", "--inside"])
        return _INSIDE.validate_json(command.run(asked, timeout=self.left).stdout)

    def _client(self, machine: Machine, seat: int, address: str, *, services: bool) -> tuple[Check, ...]:
        tables = [table.read_text() for name in ("tcp", "tcp6") if (table := machine_net(machine, name)).exists()]
        ports = sorted(open_ports(tables, address)) if services else None
        asked = json.dumps({"address": address, "ports": ports}).encode()
        words = sandbox_network.as_client(seat, [_PROGRAM, "drill", "--client"])
        return _CHECKS.validate_json(command.run(words, input=asked, timeout=self.left).stdout)


def take_mounts(inside: Paths) -> None:
    """Take from a sandbox all that says what to mount."""
    for path in trees.matching(inside.at(UNITS), (unit.removeprefix(f"{UNITS}/") for unit in OWN_UNITS)):
        trees.remove(inside.at(UNITS) / path)
    for table in _MOUNT_TABLES:
        if inside.at(table).is_file():
            inside.at(table).write_bytes(b"# empty: this is the sandbox of a drill\n")


def is_taken(item: Path) -> bool:
    """Given something that lies in HotSync's folder, return whether a promotion reads it: documents, and few folders.

    A new folder is not taken before somebody says so here: it may hold as much as the replica.
    """
    if item.name in _FOLDERS:
        return True
    is_document = item.is_file() and not item.is_symlink()
    return is_document and item.name not in _NOT_TAKEN and not item.name.startswith(".")


def take_password(inside: Paths) -> None:
    """Give a sandbox's settings another password than that of the pair: nobody asks for it, but there must be one."""
    ConfigDb(inside.configuration).set_props("rsyncd", {"password": secrets.token_hex()})


def machine_net(machine: Machine, name: str) -> Path:
    """Return what the kernel tells of the network of a machine that runs; without IPv6 some of it is not there."""
    return Path(f"/proc/{machine.init}/net/{name}")


def pinned_manifest(paths: Paths) -> Path:
    """Return where the copy of the manifest lies that belongs to the pinned tree."""
    return paths.replica / "pins" / f"{PIN}.manifest"


def copy_manifest(paths: Paths) -> None:
    """Copy the manifest for a drill; whoever calls this holds the replica. Raise OSError or sqlite3.Error."""
    target = pinned_manifest(paths)
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(paths.manifest)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    files.sync_directory(target.parent)


def not_promoted(said: str, promotion: Promotion | None) -> Check:
    """Return why the promotion did not come to its end: its own error, with the step that failed, or the last one that
    did not."""
    title = "the promotion comes to its end"
    failed = [step for step in promotion.records if step.outcome is Outcome.FAILED] if promotion else []
    try:
        error = _ENDED.validate_json(said).error or _Error()
    except ValidationError:
        error = _Error()
    sentence = error.sentence or said.strip()[-300:] or "it said nothing"
    where = f"{failed[-1].title}: " if failed else ""
    if promotion and promotion.records and not failed:
        where = f'after the step "{promotion.records[-1].title}": '
    return Check("promotion.done", title, Verdict.RED, f"{where}{sentence}", error.hint)


def judged(check: Check, not_contained: tuple[str, ...]) -> Check:
    """Return a check of the promotion as a drill sees it: a unit that is not here at all is no small matter, and one
    that no container can run is no fault."""
    if check.name != UNITS_CHECK or check.verdict is Verdict.GREEN:
        return check
    words, _, listed = check.detail.partition(": ")
    left = [unit for unit in listed.split(", ") if unit not in not_contained]
    if not left:
        return replace(check, verdict=Verdict.GREEN, detail=f"but for {', '.join(not_contained)}", hint="")
    return replace(check, verdict=Verdict.RED, detail=f"{words}: {', '.join(left)}")
