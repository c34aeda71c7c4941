"""What of this server's live data a rejoin would bring into a replica, and whether it could: a MASTER asks itself
before it hands over, since it becomes the SLAVE after that by itself."""

from __future__ import annotations

import logging
import os

from hotsync.engine.listing import DiskListing, left_paths, mount_points
from hotsync.engine.promotion.room import SPARE, free_at
from hotsync.engine.rejoin.room import check_room
from hotsync.engine.watch import watched_here
from hotsync.errors import HotSyncError, ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.mail_queue import QUEUES, is_queues_folder
from hotsync.model.rejoin import Way
from hotsync.model.selection import Selection
from hotsync.planning.rejoin_parts import Parts, rejoin_parts
from hotsync.sources.disk_tables import own_files, own_links, rules_for
from hotsync.state.lacking import save_lacking
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.rejoin")


def live_rules(paths: Paths) -> Selection:
    """Return what leaves this server, as its rules are now: what is carried, and mail that waits for being delivered.

    Raise HotSyncError.
    """
    carried = watched_here(paths, mail_queue=True).selected.rules
    # carried or not: what this server's own tables of disks name is needed at its next boot
    return Selection((*carried.rules, *rules_for((*own_files(paths), *own_links(paths)))))


def live_parts(paths: Paths, rules: Selection | None = None) -> Parts:
    """Return the parts of this server's data, as its rules are now; raise HotSyncError.

    Of a mail queue only the folders that hold mail are parts: what else lies there its server does not make anew.
    """
    rules = rules or live_rules(paths)
    mounts = mount_points((mount.point for mount in read_mounts()), paths.root)
    left = left_paths(rules, paths.root) | {f"{queue.root}/{name}" for queue in QUEUES for name in queue.own}
    found = rejoin_parts(DiskListing(paths.root), rules, left, mounts, paths.state.stat().st_dev)
    holding = {path for queue in QUEUES for path in queue.paths}
    return Parts(
        tuple(part for part in found.parts if not is_queues_folder(part.path) or part.path in holding), found.folders
    )


def room_lacking(paths: Paths) -> str:
    """Return what room a rejoin of this server would lack, "" if there is enough; all that it copies is looked at."""
    try:
        check_room(paths, (part for part in live_parts(paths).parts if part.way is not Way.MOVE))
    except ReplicaError as error:
        return str(error.facts["reason"])
    return ""


def room_lacking_soon(paths: Paths) -> str:
    """Return the same, but look at the data only where what the file systems and the manifest say is too much."""
    own, free = paths.state.stat().st_dev, free_at(paths.state) - SPARE
    points = mount_points((mount.point for mount in read_mounts()), paths.root)
    apart = {point: os.statvfs(paths.root / point) for point in points if _is_apart(paths.root / point, own)}
    used = {status.f_fsid: (status.f_blocks - status.f_bfree) * status.f_frsize for status in apart.values()}
    if sum(used.values()) < free:
        return ""
    with Manifest(paths.manifest) as manifest:
        carried = sum(manifest.bytes_below(point) for point in apart)
    return room_lacking(paths) if carried >= free else ""


def note_lacking(paths: Paths) -> None:
    """Keep, for the daemon to tell, whether this MASTER could become the SLAVE; a run does not fail by it."""
    try:
        save_lacking(paths, room_lacking_soon(paths))
    except (HotSyncError, OSError) as error:
        _log.warning("whether this server could become the SLAVE is not known: %s", error)


def _is_apart(place: os.PathLike[str], own: int) -> bool:
    try:
        return os.path.isdir(place) and os.stat(place).st_dev != own
    except OSError:
        return False
