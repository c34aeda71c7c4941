"""The document of a promotion: what it fixed, and what its journal proves. Whole or not at all, synced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import ReplicaError
from hotsync.model.data_age import ServerAge
from hotsync.model.fence import FenceResult
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.report import Check
from hotsync.state.document import Document
from hotsync.system.paths import Paths
from hotsync.system.trees import inode

_PROMOTION = Document(TypeAdapter(Promotion), "promotion")


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "promotion.json"


def load_promotion(paths: Paths, path: Path | None = None) -> Promotion | None:
    """Return the promotion on disk, or None; raise ConfigError if it cannot be read. `path`: of one that was undone."""
    return _PROMOTION.load(path or document_path(paths))


def save_promotion(paths: Paths, promotion: Promotion) -> None:
    """Make this the promotion on disk, durably."""
    _PROMOTION.save(document_path(paths), promotion)


def claimed_promotion(paths: Paths, role: RoleRecord) -> Promotion | None:
    """Return the promotion that holds this server's claim, or made it MASTER; None if there is none such.

    A document whose epoch was never claimed was written by a promotion that died before its claim: it is nothing.
    """
    promotion = load_promotion(paths)
    if promotion is None:
        return None
    by_claim = role.claim is not None and promotion.epoch == role.claim
    by_role = role.role is Role.MASTER and promotion.epoch == role.epoch
    return promotion if by_claim or by_role else None


def unfinished_promotion(paths: Paths, role: RoleRecord) -> Promotion | None:
    """Return the promotion that waits for being continued, or None."""
    promotion = claimed_promotion(paths, role)
    return None if promotion is None or promotion.finished_at else promotion


def at_work(paths: Paths) -> Promotion:
    """Return the promotion that a step works on; raise ReplicaError if there is none."""
    promotion = load_promotion(paths)
    if promotion is None:
        raise ReplicaError(reason="there is no promotion to work on", hint="Run hotsync-promote.")
    return promotion


def has_productions_etc(paths: Paths, promotion: Promotion) -> bool:
    """Return whether /etc is the one that this promotion has put into place."""
    return bool(promotion.etc_inode) and inode(paths.at("/etc")) == promotion.etc_inode


def add_record(paths: Paths, record: StepRecord, epoch: int) -> None:
    """Add the outcome of a step to the journal of the promotion to this epoch; nothing happens while it has no
    document: the one of an earlier promotion lies there until the claim."""
    promotion = load_promotion(paths)
    if promotion is not None and promotion.epoch == epoch:
        save_promotion(paths, replace(promotion, records=(*promotion.records, record)))


def add_check(paths: Paths, check: Check) -> None:
    """Keep the verdict of a check, in place of an earlier one of the same name."""
    if promotion := load_promotion(paths):
        others = tuple(known for known in promotion.checks if known.name != check.name)
        save_promotion(paths, replace(promotion, checks=(*others, check)))


def add_fence(paths: Paths, result: FenceResult) -> None:
    """Keep what came of one way to keep the old MASTER from serving."""
    if promotion := load_promotion(paths):
        save_promotion(paths, replace(promotion, fences=(*promotion.fences, result)))


def fence_again(paths: Paths) -> None:
    """No way to keep the old MASTER from serving has reached it any more, nor does it confirm a switchover: somebody
    had production's addresses since."""
    if promotion := load_promotion(paths):
        fences = tuple(
            replace(each, reached=False, detail=f"{each.detail} (before this server was cut)") if each.reached else each
            for each in promotion.fences
        )
        save_promotion(paths, replace(promotion, fences=fences, planned=False))


def add_note(paths: Paths, note: str) -> None:
    """Keep a sentence for the report, once."""
    promotion = load_promotion(paths)
    if promotion is not None and note not in promotion.notes:
        save_promotion(paths, replace(promotion, notes=(*promotion.notes, note)))


def set_network(paths: Paths, network: NetworkPlan) -> None:
    """Remember another answer about the network than that of the claim."""
    promotion = load_promotion(paths)
    if promotion is not None and promotion.network != network:
        save_promotion(paths, replace(promotion, network=network))


def set_unplanned(paths: Paths) -> None:
    """Go on with a switchover as with any other promotion: a person says that the MASTER need not confirm it."""
    promotion = load_promotion(paths)
    if promotion is not None and promotion.planned:
        save_promotion(paths, replace(promotion, planned=False))


def leave_out(paths: Paths, names: Iterable[str]) -> None:
    """Remember all that is to be left out (see Promotion.without)."""
    promotion, without = load_promotion(paths), tuple(names)
    if promotion is not None and promotion.without != without:
        save_promotion(paths, replace(promotion, without=without))


def set_configured(paths: Paths, server: str) -> None:
    """Remember that a database server was given the MASTER's settings."""
    promotion = load_promotion(paths)
    if promotion is not None and server not in promotion.configured:
        save_promotion(paths, replace(promotion, configured=(*promotion.configured, server)))


def set_server(paths: Paths, name: str, change: Callable[[ServerAge], ServerAge]) -> None:
    """Change what is remembered of when the data of a database server is."""
    if promotion := load_promotion(paths):
        servers = (change(known) if known.name == name else known for known in promotion.servers)
        save_promotion(paths, replace(promotion, servers=tuple(servers)))


def set_etc_inode(paths: Paths, prepared: int) -> None:
    """Remember which folder the prepared /etc is, by its inode."""
    if promotion := load_promotion(paths):
        save_promotion(paths, replace(promotion, etc_inode=prepared))


def set_copy(paths: Paths, path: str, inode: int) -> None:
    """Remember the finished copy of a unit that lies on another file system."""
    if promotion := load_promotion(paths):
        others = tuple(known for known in promotion.copies if known[0] != path)
        save_promotion(paths, replace(promotion, copies=(*others, (path, inode))))
