"""Drills as `--json` prints them."""

from __future__ import annotations

from hotsync.cli.render import check_document, utc
from hotsync.model.drill import DrillPoint, DrillReport
from hotsync.model.fence_rehearsal import Rehearsed
from hotsync.model.report import Check, worst


def drill_document(report: DrillReport, trend: tuple[DrillPoint, ...]) -> dict[str, object]:
    """Return a drill as `--json` prints it."""
    return {
        "schema": 1,
        "verdict": report.verdict.value,
        "summary": report.summary,
        "reason": report.reason,
        "started_at": utc(report.started_at),
        "ended_at": utc(report.ended_at),
        "generation": report.generation,
        "rto_seconds": report.rto,
        "rpo_seconds": round(report.rpo, 1),
        "checks": [check_document(check) for check in report.checks],
        "stages": [
            {"name": each.name, "title": each.title, "seconds": each.seconds, "of_promotion": each.of_promotion}
            for each in report.stages
        ],
        "left_out": list(report.left_out),
        "notes": list(report.notes),
        "fences": [fence_document(each) for each in report.fences],
        "trend": [point_document(point) for point in trend],
    }


def point_document(point: DrillPoint) -> dict[str, object]:
    """Return a drill of the trend as documents have it."""
    return {
        "at": utc(point.at),
        "generation": point.generation,
        "verdict": point.verdict.value,
        "reason": point.reason,
        "rto_seconds": point.rto,
        "rpo_seconds": round(point.rpo, 1),
    }


def fences_document(results: tuple[Rehearsed, ...], checks: tuple[Check, ...]) -> dict[str, object]:
    """Return the fences as `--fences --json` prints them."""
    return {
        "schema": 1,
        "verdict": worst(checks).value,
        "fences": [fence_document(each) for each in results],
        "checks": [check_document(check) for check in checks],
    }


def fence_document(result: Rehearsed) -> dict[str, object]:
    """Return what came of a fence when it was tried, as documents have it."""
    return {
        "tier": result.tier.value,
        "tried_at": utc(result.at),
        "outcome": result.outcome.value,
        "detail": result.detail,
        "hint": result.hint,
    }
