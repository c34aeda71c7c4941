"""What of this MASTER is newer than the last generation: a look at the live files; nothing is collected or copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hotsync.changes.detect import Detection, detect, mount_table
from hotsync.changes.folders import Reach
from hotsync.engine.sync.collect import last_rules
from hotsync.engine.sync.select import Selected, build_selection, own_profiles
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry, Kind, sort_key
from hotsync.model.loss import Fate, LossStatement, Tally, databases_of
from hotsync.model.nesting import lies_in
from hotsync.profiles.schema import Profile
from hotsync.sources.shadows.watch import Live, LiveFiles
from hotsync.state.sent import load_sent
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_OWN = "var/lib/hotsync"
_UNSEEN = frozenset(("path.unreadable", "path.vanished"))


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at: what a run would carry now, and which folders hold mail."""

    selected: Selected
    mail_folders: tuple[str, ...] = ()


def watched_here(paths: Paths, *, mail_queue: bool) -> Watched:
    """Return what a run would carry, as far as that is known without one; raise HotSyncError."""
    selected = build_selection(paths, last_rules(paths, mail_queue=mail_queue).rules)
    return Watched(selected, mail_folders(own_profiles(paths)))


def mail_folders(profiles: Iterable[Profile]) -> tuple[str, ...]:
    """Given the profiles of this host, return the folders that hold mail: what those carry that open a mailbox."""
    carried = (
        path.strip("/")
        for profile in profiles
        if any(check.kind == "imap" for check in profile.checks)
        for path in profile.files.include
    )
    return tuple(path for path in carried if path.partition("/")[0] != "etc")


def look(paths: Paths, clock: Clock, watched: Callable[[], Watched]) -> LossStatement | None:
    """Return what is newer than the last generation; None if there is none, or if another one came meanwhile.

    Raise HotSyncError or OSError where that cannot be found out. What is needed besides memory lies in a folder of its
    own, which is made anew each time.
    """
    if not paths.manifest.exists():
        return None
    work = paths.state / "watch"
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Manifest(paths.manifest) as manifest:
        number, digest, sent = manifest.generation, manifest.digest, load_sent(paths)
        if not number:
            return None
        # of what is changed from here on nothing is known, whether the walk meets it or not
        started = clock.now()
        now = watched()
        planned = work / "changes"
        detection = detect(
            paths.root, now.selected.rules, manifest, planned, clock, now.selected.mounts, digest,
            table=mount_table(paths.root), keep_seals=False,
        )  # fmt: skip
        try:
            tally = _tallied(paths, manifest, detection, now.mail_folders)
        finally:
            planned.unlink(missing_ok=True)
        if (manifest.generation, manifest.digest) != (number, digest):
            return None
    databases = databases_of(sent) if sent is not None and sent.number == number else ()
    return tally.statement(number, digest, started, databases)


def _tallied(paths: Paths, manifest: Manifest, detection: Detection, mail: tuple[str, ...]) -> Tally:
    tally = Tally(mail)
    with Reach(paths.root) as reach:
        live = LiveFiles(paths, reach)
        for change in read_changes(detection.planned):
            # what HotSync keeps for itself says nothing of the server's own: of databases their moments are told
            if lies_in(change.path, _OWN):
                continue
            _count(tally, live, change, manifest.at(sort_key(change.path)))
    for notice in detection.problems:
        if notice.code in _UNSEEN:
            tally.add(notice.path, Fate.PERHAPS)
    return tally


def _count(tally: Tally, live: LiveFiles, change: Change, carried: Entry | None) -> None:
    fate = fate_of(live, change, carried)
    if fate is None:
        return
    entry = change.entry
    size = entry.size if entry is not None and entry.kind is Kind.FILE else 0
    moment = entry.ctime_ns / 1e9 if entry is not None and fate is not Fate.PERHAPS else 0.0
    is_folder = entry is not None and entry.kind is Kind.DIRECTORY
    tally.add(change.path, fate, size, moment, folder=is_folder)


def fate_of(live: LiveFiles, change: Change, carried: Entry | None) -> Fate | None:
    """Given what differs from the manifest, and what that has there, return what is newer; None: nothing by itself."""
    entry = change.entry
    if live.is_covered(change.path):
        # a database in a container writes all the time; whether that is something new only the server could tell
        if entry is not None and (entry.kind is not Kind.FILE or live.judge(change.path, carried) is Live.SAME):
            return None
        return Fate.PERHAPS
    if entry is None:
        return Fate.DELETED
    judged = live.judge(change.path, carried) if entry.kind is Kind.FILE else Live.PLAIN
    if judged in (Live.SAME, Live.PART):
        return None
    if judged is Live.PERHAPS:
        return Fate.PERHAPS
    if carried is None:
        return Fate.NEW
    if _matters(entry) != _matters(carried):
        return Fate.CHANGED
    # it was carried while it was written, and may bear the same time since; or something was done to it that need not
    # have changed it: another name of it came or went, an equal file took its place
    return Fate.PERHAPS if carried.unsettled or _touch(entry) != _touch(carried) else None


def _matters(entry: Entry) -> Entry:
    """Return of an entry what makes it another one for people."""
    return replace(entry, ctime_ns=0, inode=0, links=0, device=0, unsettled=False)


def _touch(entry: Entry) -> tuple[int, int, int]:
    """Return of an entry what tells that something was done to it."""
    return entry.ctime_ns, entry.inode, entry.links
