"""A promotion's exchange, backwards: production's files leave, what this server had there comes back.

Every move is one rename, told by inode whether it was done; the inodes are noted once production stands still.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from hotsync.engine.promotion import folders_before
from hotsync.engine.promotion.files import ASIDE, way_station
from hotsync.engine.promotion.prepared_etc import PART, PREPARED
from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import folders_of
from hotsync.model.entry import parent_of
from hotsync.model.mail_queue import QUEUES
from hotsync.model.nesting import lies_in, meet
from hotsync.model.promotion import ETC, OURS, ExchangeUnit, How, Promotion
from hotsync.model.undo import Place
from hotsync.system import files, flags
from hotsync.system.paths import Paths
from hotsync.system.trees import folders_below, inode, items_of, make_folder_like, move_aside, opened, remove

MOVED = "moved"
"""Where production's files go that do not belong into the tree, until what is kept of them is copied."""


class UndoFiles:
    """The files of one promotion on this host."""

    def __init__(self, paths: Paths, promotion: Promotion) -> None:
        self._paths = paths
        self._promotion = promotion
        self._root = paths.root
        self._tree = paths.replica / "tree"
        self._aside = paths.state / ASIDE
        self._moved = paths.undone / str(promotion.epoch) / MOVED

    def look(self, mounts: frozenset[str], *, served: bool = True) -> tuple[Place, ...]:
        """Given this server's mount points, return what goes back; `served`: production has run.

        Moves that the promotion had only half done are finished first. Nothing of production may run any more.
        """
        found = [place for unit in self._promotion.units if (place := self._of_unit(unit)) is not None]
        found += self._of_new(mounts)
        if served:
            found += self._of_queues(mounts)
        etc = self._of_etc()
        return (*found, etc) if etc is not None else tuple(found)

    def _of_unit(self, unit: ExchangeUnit) -> Place | None:
        if unit.how is How.EXCHANGE:
            there = inode(self._tree / unit.path)
            if there == unit.inode:
                return None
            if there is not None:  # it died between the two renames
                move_aside(self._tree, unit.path, self._aside)
            return self._place(unit.path, self._aside, self._tree, tree=True)
        if unit.how is How.ASIDE:
            aside = next((each for each in self._asides(unit.path) if inode(each / unit.path) is not None), None)
            return None if aside is None else self._place(unit.path, aside, self._beside(aside))
        noted, station = self._promotion.copy_of(unit.path), self._station(unit.path)
        if noted is None or station is None:
            return None
        there = inode(station / "new" / unit.path)
        if there == noted:
            return None
        if there is not None:
            move_aside(station / "new", unit.path, station / ASIDE)
        return self._place(unit.path, station / ASIDE, station / MOVED)

    def _of_etc(self) -> Place | None:
        live = self._root / ETC
        if not self._promotion.etc_inode or os.lstat(live).st_ino != self._promotion.etc_inode:
            return None
        asides = list(self._asides(ETC))
        if os.path.lexists(self._root / PREPARED):  # it died between the two renames
            move_aside(self._root, PREPARED, self._same_disk(asides), as_name=ETC)
        aside = next((each for each in asides if (each / ETC).is_dir()), None)
        if aside is None:
            raise ReplicaError(
                reason="what this server had in /etc is not where the promotion has set it aside",
                hint=f"Put it back to {self._aside / ETC} (a promotion's report says where it was), then go on.",
            )
        return self._place(ETC, aside, self._beside(aside))

    def _same_disk(self, asides: Iterable[Path]) -> Path:
        device = os.lstat(self._root).st_dev
        return next(each for each in asides if os.lstat(each.parent).st_dev == device)

    def _of_new(self, mounts: frozenset[str]) -> Iterator[Place]:
        for path in self.new(mounts):
            aside = next(iter(self._asides(path)))
            yield self._place(path, aside, self._beside(aside))

    def new(self, mounts: frozenset[str]) -> Iterator[str]:
        """Return what production made in folders that stayed in place: nothing of it was there at the promotion."""
        units = {unit.path for unit in self._promotion.units}
        stays = {*units, *self._promotion.folders, *mounts, OURS, ETC}
        above = {folder for path in stays for folder in folders_of(path)}
        for folder, before in folders_before.names(self._paths, self._promotion).items():
            here = self._root / folder
            if here.is_symlink() or not here.is_dir():
                continue
            for name in sorted({*os.listdir(here)} - {*before}):
                path = f"{folder}/{name}"
                if path in stays or path in above or name == "lost+found" or name.startswith(".hotsync-"):
                    continue
                if not os.path.lexists(self._tree / path):
                    yield path

    def queues(self, mounts: frozenset[str]) -> tuple[str, ...]:
        """Return the folders of mail queues that no promotion has brought, and in which something waits: production
        took that mail, and here nobody delivers it any more."""
        brought = (*(unit.path for unit in self._promotion.units), *self.new(mounts))
        # one behind a link is where the link leads, which is somebody's own arrangement
        own = (path for queue in QUEUES for path in queue.paths if not self._is_behind_a_link(path))
        found = (path for path in own if not _meets(path, brought))
        apart = (path for path in found if not any(lies_in(mount, path) for mount in mounts))
        return tuple(path for path in apart if _holds_something(self._root / path))

    def _is_behind_a_link(self, path: str) -> bool:
        return any((self._root / folder).is_symlink() for folder in folders_of(path))

    def _of_queues(self, mounts: frozenset[str]) -> Iterator[Place]:
        """An empty folder with the same owner and mode takes the place of each: its mail server wants it so."""
        for path in self.queues(mounts):
            aside = next(iter(self._asides(path)))
            empty = aside / path
            remove(empty)  # of a look that was cut: nothing of this server's own is below it, as no unit is
            empty.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with opened(self._root, parent_of(path)) as parent:
                make_folder_like(os.path.basename(path), parent, empty)
            yield self._place(path, aside, self._beside(aside))

    def _place(self, path: str, aside: Path, to: Path, *, tree: bool = False) -> Place:
        live, own = inode(self._root / path) or 0, inode(aside / path) or 0
        return Place(path, live, own, self._relative(aside), self._relative(to), tree)

    def _relative(self, path: Path) -> str:
        return os.fspath(path.relative_to(self._root))

    def _asides(self, path: str) -> Iterator[Path]:
        """Return where this server's own `path` may lie, of the same file system first."""
        station = self._station(path)
        here = os.lstat(self._nearest(path)).st_dev == os.lstat(self._paths.state).st_dev
        both = [self._aside] if here else []
        if station is not None:
            both.append(station / ASIDE)
        elif not here:
            both.append(self._make_station(path) / ASIDE)
        yield from both

    def _beside(self, aside: Path) -> Path:
        return self._moved if aside == self._aside else aside.parent / MOVED

    def _nearest(self, path: str) -> Path:
        for folder in folders_of(path):
            if os.path.lexists(self._root / folder):
                return self._root / folder
        return self._root

    def _top(self, path: str) -> Path:
        """Return the highest folder above a path on its file system."""
        place = self._nearest(path)
        device = os.lstat(place).st_dev
        while place != self._root and os.lstat(place.parent).st_dev == device:
            place = place.parent
        return place

    def _station(self, path: str) -> Path | None:
        station = self._top(path) / way_station(self._promotion.epoch)
        return station if station.is_dir() else None

    def _make_station(self, path: str) -> Path:
        station = self._top(path) / way_station(self._promotion.epoch)
        station.mkdir(mode=0o700, exist_ok=True)
        return station

    # --- back ---------------------------------------------------------------------------------------------------------

    def put_back(self, place: Place) -> None:
        """Let production's leave and this server's own come back; raise ReplicaError if neither is where it was."""
        live, aside, to = self._root / place.path, self._root / place.aside, self._root / place.to
        if place.live and inode(live) == place.live:
            self._free(place.path)
            if place.own and inode(aside / place.path) == place.own:
                self._rename(self._root, aside, place.path, exchange=True)
            else:
                self._rename(self._root, to, place.path)
        if place.live and inode(aside / place.path) == place.live:
            self._rename(aside, to, place.path)
        if place.own and inode(aside / place.path) == place.own and inode(live) is None:
            self._rename(aside, self._root, place.path)
        if place.own and inode(live) != place.own:
            raise ReplicaError(
                reason=f"/{place.path} is neither set aside nor live as it was when the undo began",
                hint=f"Somebody changed it by hand: compare {aside / place.path} with /{place.path}.",
            )

    def _free(self, path: str) -> None:
        """What chattr made immutable could not be moved."""
        with suppress(OSError), opened(self._root, path, os.O_RDONLY | os.O_NONBLOCK) as place:
            flags.clear_flags(place, flags.CARRIED)

    def _rename(self, source: Path, target: Path, path: str, *, exchange: bool = False) -> None:
        parent, name = parent_of(path), os.path.basename(path)
        (target / parent).mkdir(mode=0o700 if target != self._root else 0o755, parents=True, exist_ok=True)
        with opened(source, parent) as old, opened(target, parent) as new:
            rename = files.rename_exchange if exchange else files.rename_noreplace
            rename(name, name, old_dir=old, new_dir=new)
            os.fsync(new)
            os.fsync(old)

    def set_times(self) -> None:
        """Give the tree's folders the times that they had: their children left and came back, and nothing else."""
        above = {folder for unit in self._promotion.units for folder in folders_of(unit.path)}
        with Manifest(self._paths.manifest) as manifest:
            for folder in above:
                entry = manifest.get(folder)
                if entry is not None:
                    with suppress(FileNotFoundError, NotADirectoryError), opened(self._tree, folder) as place:
                        os.utime(place, ns=(os.fstat(place).st_atime_ns, entry.mtime_ns))

    # --- when all is back ---------------------------------------------------------------------------------------------

    def clean(self) -> None:
        """Remove what the promotion and its undo have left behind; everything of this server's own is back."""
        for leftover in (PREPARED, PART):
            remove(self._root / leftover)
        places = {self._station(unit.path) for unit in self._promotion.units} | {self._station(ETC)}
        places |= {self._station(f"{folder}/x") for folder in self._promotion.folders}
        places |= {self._station(path) for queue in QUEUES for path in queue.paths}
        for station in places - {None}:
            assert station is not None
            self._drop(station / ASIDE)
            remove(station / "new")
            remove(station / MOVED)
            with suppress(OSError):  # somebody put something there
                station.rmdir()
        self._drop(self._aside)
        remove(self._moved)
        files.sync_directory(self._paths.state)

    def _drop(self, aside: Path) -> None:
        """Remove the folders of what was set aside; what still lies in them is somebody's, and stays."""
        if aside.is_dir():
            for folder in reversed([*folders_below(aside)]):
                with suppress(OSError):
                    folder.rmdir()


def _meets(path: str, others: Iterable[str]) -> bool:
    """Return whether a path is one of others, lies below one, or has one below it."""
    return any(meet(path, other) for other in others)


def _holds_something(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    return any(not path.is_dir() for each in folders_below(folder) for path in items_of(each))
