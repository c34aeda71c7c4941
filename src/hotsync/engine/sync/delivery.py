"""From a planned changeset to a committed generation: begin, send, settle, send again, commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotsync.changes.detect import Detection
from hotsync.changes.seen import SoundCopies
from hotsync.changes.settle import Settling
from hotsync.engine.sync.collect import Collected
from hotsync.errors import ReplicaError
from hotsync.manifest.changeset_file import ChangesetSummary, recall_changes
from hotsync.manifest.store import Manifest
from hotsync.model.generation import Generation
from hotsync.model.report import Notice
from hotsync.system.clock import Clock
from hotsync.system.files import sync_directory
from hotsync.system.paths import Paths
from hotsync.transport.client import PeerLink
from hotsync.transport.rsync import TransferProgress

ROUNDS = 3  # once, and at most twice more what changed meanwhile
CUTS = 20  # so many files may be too large for the SLAVE's disk: each ends a sending


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a delivery; `record` is the generation as the MASTER remembers it, None if nothing was left."""

    record: Generation | None
    notices: tuple[Notice, ...]
    figures: dict[str, float]


def deliver(
    paths: Paths,
    clock: Clock,
    link: PeerLink,
    manifest: Manifest,
    detection: Detection,
    collected: Collected,
    say: Callable[[str, TransferProgress | None], None],
    *,
    required: Sequence[str] = (),
    copies: SoundCopies | None = None,
) -> Delivery:
    """Given what was detected, make it the SLAVE's next generation; raise PeerError, TransferError or ReplicaError.

    Of what is `required`, all of a path comes settled, or nothing; of `copies` likewise.
    """
    number = manifest.generation + 1
    planned, figures = detection.planned, detection.summary
    link.begin(
        number, manifest.digest, planned, figures.content_bytes, figures.content + figures.meta, holes=detection.holes
    )
    settling = Settling(paths.root, planned, manifest.digest, required, copies)
    sent = _send(link, number, paths.root, settling, clock, lambda progress: say("Sending", progress))
    final_file = planned.with_name(f"{number}.final")
    final = settling.finalize(final_file)
    figures_sent = {**sent, "content_bytes": float(final.summary.content_bytes)}
    if not final.summary.changes:
        return Delivery(None, final.problems, figures_sent)
    say("Committing", None)
    record = _commit(link, manifest, final_file, final.summary, collected, clock)
    return Delivery(record, final.problems, figures_sent)


def _commit(
    link: PeerLink, manifest: Manifest, final_file: Path, summary: ChangesetSummary, collected: Collected, clock: Clock
) -> Generation:
    """Have the SLAVE make it the next generation, follow with our manifest, and return the generation."""
    number = manifest.generation + 1
    outbox = final_file.with_name(f"{number}.changes")
    # from here on the outbox holds the changeset that is committed: if we die, the next run finds it there
    final_file.replace(outbox)
    sync_directory(outbox.parent)
    link.commit(number, summary.digest, outbox, collected.started_at, collected.points)
    committed_at = clock.now()  # by our own clock, as all that we remember: the SLAVE's may be another
    manifest.apply(recall_changes(outbox), number, summary.digest)
    return Generation(
        number=number,
        digest=summary.digest,
        epoch=0,
        collected_at=collected.started_at,
        committed_at=committed_at,
        confirmed_at=committed_at,
        changed=summary.content + summary.meta + summary.moved,
        deleted=summary.deleted,
        bytes=summary.content_bytes,
        unsettled=summary.unsettled,
        datasets=collected.points,
    )


def _send(
    link: PeerLink,
    number: int,
    root: Path,
    settling: Settling,
    clock: Clock,
    progress: Callable[[TransferProgress], None],
) -> dict[str, float]:
    totals = {"sent_files": 0.0, "sent_bytes": 0.0, "received_bytes": 0.0, "rounds": 0.0}
    attempt = cuts = 0
    while attempt < ROUNDS:
        sent_at = clock.now_ns()
        result = link.send(number, root, settling.send_list, progress, again=attempt > 0)
        totals["sent_files"] += result.files
        totals["sent_bytes"] += result.wire_sent
        totals["received_bytes"] += result.wire_received
        totals["rounds"] += 1
        reasons = dict(result.unreadable)
        left = settling.settle(sent_at, result.vanished, reasons, result.changed, result.unstored, cut=result.cut)
        if result.cut:
            cuts += 1
            if cuts > CUTS:
                raise ReplicaError(reason=f"the SLAVE could not store {cuts} files: {result.unstored[-1].reason}")
            continue  # without that file, what comes behind it can be sent
        attempt += 1
        if not left:
            break
    return totals
