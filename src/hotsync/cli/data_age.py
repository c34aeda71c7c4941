"""How the age of a promotion's data looks: that of the files, and that of each database server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotsync.cli.render import age, local, utc
from hotsync.model.data_age import ServerAge
from hotsync.model.promotion import Promotion

COLUMNS = ("", "as of", "age", "")


def age_rows(promotion: Promotion, ages: Sequence[ServerAge], now: float) -> list[tuple[str, ...]]:
    """Given when the age counts, return the rows of a table: the files first, then each database server."""
    files = ("files", local(promotion.confirmed_at), age(now - promotion.confirmed_at), _generation(promotion))
    return [files, *(_row(each, now) for each in ages)]


def _generation(promotion: Promotion) -> str:
    return f"generation {promotion.generation}"


def _row(server: ServerAge, now: float) -> tuple[str, ...]:
    how = "streamed" if server.streamed else "dumped"
    if server.streamed and not server.as_of and server.dumped_at:
        how = f"{how}; last dump {local(server.dumped_at)}"
    if server.said:
        how = f"{how}; {server.said}"
    if not server.moment:
        return server.name, "not known", "", how
    if not server.exact:
        return server.name, f"{local(server.moment)} or later", f"at most {age(now - server.moment)}", how
    return server.name, local(server.moment), age(now - server.moment), how


def age_documents(ages: Sequence[ServerAge], now: float) -> list[dict[str, Any]]:
    """Return the same of the database servers, as JSON documents carry it."""
    return [
        {
            "name": each.name,
            "streamed": each.streamed,
            "as_of": utc(each.moment),
            "exact": each.exact,
            "age_seconds": round(now - each.moment, 1) if each.moment else None,
            "dumped_at": utc(each.dumped_at),
            "position": each.position,
            "detail": each.said,
        }
        for each in ages
    ]
