"""Records of an e-smith database as JSON: what `db FILE setjson` takes."""

from __future__ import annotations

from typing import cast

from hotsync.config.esmith import Record


def parse_records(given: object) -> dict[str, Record]:
    """Given a decoded document (one record or a list), return key -> record; raise ValueError if it is neither."""
    items = cast("list[object]", given) if isinstance(given, list) else [given]
    return dict(_record(item) for item in items)


def _record(item: object) -> tuple[str, Record]:
    if not isinstance(item, dict):
        raise ValueError("a record is an object with name, type and props")
    fields = cast("dict[str, object]", item)
    name, kind, props = fields.get("name"), fields.get("type"), fields.get("props")
    if not isinstance(name, str) or not isinstance(kind, str) or name in ("", "0") or kind in ("", "0"):
        raise ValueError("a record needs a name and a type")
    if props is None:
        return name, Record(kind)
    if not isinstance(props, dict):
        raise ValueError(f"props of {name} is not an object")
    return name, Record(
        kind, {prop: _text(name, prop, value) for prop, value in cast("dict[str, object]", props).items()}
    )


def _text(name: str, prop: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return value
    raise ValueError(f"{prop} of {name} is not a single value")
