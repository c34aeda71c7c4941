"""The guard on the MASTER: what the last generation's walk met is remembered, and held against what this one met."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hotsync.changes.detect import Detection
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Kind
from hotsync.model.guard import Damage, GuardRule, Place, reasons_to_hold
from hotsync.model.mail_queue import QUEUES
from hotsync.model.scope import scope_of
from hotsync.model.selection import Selection

_PLACES = "places"


def check(manifest: Manifest, selection: Selection, detection: Detection, rule: GuardRule) -> tuple[str, ...]:
    """Given what a run found, return every reason to hold it, as clauses for people; none for a first generation."""
    if manifest.generation == 0:
        return ()
    touched = detection.deleted_files + detection.rewritten_files
    files = manifest.count(Kind.FILE) if touched >= rule.files else touched
    damage = Damage(files, detection.deleted_files, detection.rewritten_files)
    return reasons_to_hold(known_places(manifest, selection), detection.places, damage, rule)


def remember(manifest: Manifest, detection: Detection) -> None:
    """Keep what this walk met; call it once its generation is committed, or confirmed.

    Of a place that could not be read, what was known stays.
    """
    known = _remembered(manifest) or {}
    places = {
        path: seen if seen.readable else known[path]
        for path, seen in detection.places.items()
        if not seen.hidden and (seen.readable or path in known)
    }
    document = {path: [place.kind.value, place.mounted, place.entries] for path, place in places.items()}
    manifest.set_meta(_PLACES, json.dumps({"schema": 1, "places": document}, sort_keys=True))


def known_places(manifest: Manifest, selection: Selection) -> dict[str, Place]:
    """Return the places of the last generation, but for those that a rule names as not carried.

    A place that no rule names any more is missed too: the rule of a data disk exists only while it is mounted, that of
    a pattern only while something fits it. Where they were not remembered (a manifest that was fetched or rebuilt), the
    manifest's entries tell what was there.
    """
    roots = frozenset(selection.roots())
    remembered = _remembered(manifest)
    if remembered is not None:
        # a mail queue is carried by the last run of a switchover; where that is given up nobody misses it in the next
        queues = {queue.root for queue in QUEUES} - roots
        return {
            path: place
            for path, place in remembered.items()
            if path not in queues and not _is_left_out(selection, path)
        }
    places: dict[str, Place] = {}
    for path in roots:
        entry = manifest.get(path)
        if entry is not None:
            places[path] = Place(entry.kind, entries=1 + manifest.count_below(path))
    return places


def _remembered(manifest: Manifest) -> Mapping[str, Place] | None:
    text = manifest.meta(_PLACES)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)["places"]
        return {
            path: Place(Kind(kind), bool(mounted), int(entries)) for path, (kind, mounted, entries) in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # of another version: the entries tell


def _is_left_out(selection: Selection, path: str) -> bool:
    """Return whether somebody said of this very path that it is not carried, and nothing in it is."""
    scope = scope_of(selection)
    for name in path.split("/"):
        scope = scope.child(name)
    return not (scope.carried or scope.may_carry_below) and selection.names(path)
