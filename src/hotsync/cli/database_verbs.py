"""The verbs of `config` and `db`: what each prints, changes and answers; the original's, its odd answers too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hotsync.config import esmith
from hotsync.config.esmith import Record
from hotsync.errors import UsageError
from hotsync.state.configdb import ConfigDb, Document

NOTHING = 1


class Misuse(Exception):
    """The arguments do not fit the verb; carries the usage text."""


@dataclass(slots=True)
class Session:
    """One run of the command: the database, and what it has said so far."""

    db: ConfigDb
    usage: str
    stdin: Callable[[], bytes]
    out: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])

    def say(self, line: str) -> None:
        """Put one line on standard output."""
        self.out.append(line + "\n")

    def needed(self, args: list[str], count: int = 1) -> list[str]:
        """Return the arguments if the first `count` are there; `0` and empty count as missing, as in the original."""
        if len(args) < count or any(word in ("", "0") for word in args[:count]):
            raise Misuse(self.usage)
        return args

    def pairs(self, args: list[str]) -> dict[str, str]:
        """Given `prop value prop value ...`, return the props."""
        if len(args) % 2:
            raise Misuse(self.usage)
        return dict(zip(args[::2], args[1::2], strict=True))


def _records(session: Session, args: list[str]) -> list[tuple[str, Record]] | None:
    """Return the record of the key given, or all; None if there is no such key or the database is empty."""
    document = session.db.read()

    def record(key: str) -> Record | None:
        stored = document.get(esmith.trim(key))
        return None if stored is None else esmith.parse_value(stored)

    if args:
        found = record(args[0])
        return None if found is None else [(args[0], found)]
    return [(key, record(key) or Record(None)) for key in sorted(document, key=esmith.to_bytes)] or None


def _each(session: Session, args: list[str], lines: Callable[[str, Record], list[str]]) -> int:
    records = _records(session, args)
    for key, record in records or ():
        for line in lines(key, record):
            session.say(line)
    return NOTHING if records is None else 0


def _keys(session: Session, args: list[str]) -> int:
    return _each(session, [], lambda key, _record: [key])


def _print(session: Session, args: list[str]) -> int:
    document = session.db.read()

    def line(key: str, _record: Record) -> list[str]:
        return [f"{key}={esmith.with_newlines(document.get(esmith.trim(key)) or '')}"]

    return _each(session, args, line)


def _show(session: Session, args: list[str]) -> int:
    def lines(key: str, record: Record) -> list[str]:
        props = [f"    {name}={value or ''}" for name, value in record.sorted_props()]
        return [f"{key}={record.type or ''}", *props]

    return _each(session, args, lines)


def _printtype(session: Session, args: list[str]) -> int:
    return _each(session, args, lambda key, record: [f"{key}={record.type or ''}"])


def _get(session: Session, args: list[str]) -> int:
    stored = session.db.read().get(esmith.trim(session.needed(args)[0]))
    if stored is None:
        return NOTHING
    session.say(esmith.with_newlines(stored))
    return 0


def _gettype(session: Session, args: list[str]) -> int:
    record = session.db.record(session.needed(args)[0])
    if record is None or record.type is None:
        return NOTHING
    session.say(record.type)
    return 0


def _getprop(session: Session, args: list[str]) -> int:
    key, prop = session.needed(args, 2)[:2]
    record = session.db.record(key)
    value = record.props.get(prop) if record else None
    if value is None:
        return NOTHING
    session.say(value)
    return 0


def _printprop(session: Session, args: list[str]) -> int:
    key, *names = session.needed(args)
    record = session.db.record(key) or Record(None)
    if names:
        for name in names:
            value = record.props.get(name)
            if value is not None:
                session.say(f"{name}={value}")
        return 0
    for name, value in record.sorted_props():
        session.say(f"{name}={value or ''}")
    return 0 if record.props else NOTHING


def _jsonable(session: Session, args: list[str]) -> object:
    records = _records(session, args)
    if records is None:
        return 1 if args else []

    def clean(text: str) -> str:
        return esmith.to_bytes(text).decode("utf-8", "replace")

    objects: list[dict[str, object]] = []
    for key, record in records:
        if record.type is not None:
            props = {clean(name): value if value is None else clean(value) for name, value in record.sorted_props()}
            entry: dict[str, object] = {"name": clean(key), "type": clean(record.type)}
            objects.append(entry | ({"props": props} if props else {}))
    if args:
        return objects[0] if objects else None
    return objects


def _printjson(session: Session, args: list[str]) -> int:
    import json

    session.out.append(json.dumps(_jsonable(session, args), ensure_ascii=False, separators=(",", ":")))
    return 0


def _showjson(session: Session, args: list[str]) -> int:
    import json

    session.say(json.dumps(_jsonable(session, args), ensure_ascii=False, indent=3, separators=(",", " : ")))
    return 0


def _store(session: Session, records: Mapping[str, Record], *, only_new: bool = False) -> int:
    """Write these records over the old ones; what the running system answers stays, with a warning."""
    values: dict[str, str | None] = {}
    for key, record in records.items():
        trimmed = esmith.check_key(key)
        if trimmed in session.db.computed:
            session.warnings.append(
                f"[WARNING] configuration DB: {trimmed} is read-only, it follows the running system"
            )
        else:
            values[trimmed] = esmith.render_value(record)

    def change(document: Document) -> None:
        document.update({key: value for key, value in values.items() if not only_new or document.get(key) is None})

    session.db.update(change)
    return 0


def _whole(session: Session, args: list[str]) -> dict[str, Record]:
    """Given `key type [prop value ...]`, return the record; the type may be a whole record `type|prop|value`, too."""
    key, kind, *rest = session.needed(args, 2)
    record = esmith.parse_value(kind)
    if None in record.props.values():
        raise UsageError(reason=f"{kind!r} is no whole record: a prop has no value", hint="Give type, prop, value, ...")
    return {key: record.with_props(session.pairs(rest))}


def _set(session: Session, args: list[str]) -> int:
    return _store(session, _whole(session, args))


def _setdefault(session: Session, args: list[str]) -> int:
    return _store(session, _whole(session, args), only_new=True)


def _setjson(session: Session, args: list[str]) -> int:
    import json

    from hotsync.config.json_records import parse_records

    text: str | bytes = session.needed(args)[0]
    try:
        given: object = json.loads(session.stdin() if text == "-" else text, parse_int=str, parse_float=str)
        return _store(session, parse_records(given))
    except ValueError as error:
        raise Misuse(f"{session.usage}\nthe JSON is not a record or a list of records: {error}") from None


def _settype(session: Session, args: list[str]) -> int:
    key, kind = session.needed(args, 2)[:2]
    return _change(session, key, lambda record: Record(kind, record.props))


def _setprop(session: Session, args: list[str]) -> int:
    key, *rest = session.needed(args)
    if not rest:
        raise Misuse(session.usage)
    props = session.pairs(rest)
    _change(session, key, lambda record: record.with_props(props))
    return 0


def _delprop(session: Session, args: list[str]) -> int:
    key, *names = session.needed(args)
    if not names:
        raise Misuse(session.usage)
    _change(session, key, lambda record: record.without_props(names))
    return 0


def _change(session: Session, key: str, changed: Callable[[Record], Record]) -> int:
    """Change a record that exists, in one write; say NOTHING if there is none."""
    trimmed = esmith.trim(key)
    if trimmed in session.db.computed:
        return _store(session, {trimmed: Record("")})
    found = NOTHING

    def change(document: Document) -> None:
        nonlocal found
        stored = document.get(trimmed)
        if stored is not None:
            found = 0
            document[trimmed] = esmith.render_value(changed(esmith.parse_value(stored)))

    session.db.update(change)
    return found


def _delete(session: Session, args: list[str]) -> int:
    key = esmith.trim(session.needed(args)[0])
    found = NOTHING

    def change(document: Document) -> None:
        nonlocal found
        if document.get(key) is not None:
            found = 0
            del document[key]

    session.db.update(change)
    return found


VERBS: dict[str, tuple[Callable[[Session, list[str]], int], str]] = {
    "keys": (_keys, ""),
    "print": (_print, "[key]"),
    "printjson": (_printjson, "[key]"),
    "show": (_show, "[key]"),
    "showjson": (_showjson, "[key]"),
    "get": (_get, "key"),
    "getjson": (_printjson, "[key]"),
    "set": (_set, "key type [prop1 val1] [prop2 val2] ..."),
    "setdefault": (_setdefault, "key type [prop1 val1] [prop2 val2] ..."),
    "setjson": (_setjson, "JSON | -"),
    "delete": (_delete, "key"),
    "printtype": (_printtype, "[key]"),
    "gettype": (_gettype, "key"),
    "settype": (_settype, "key type"),
    "printprop": (_printprop, "key [prop1] [prop2] [prop3] ..."),
    "getprop": (_getprop, "key prop"),
    "setprop": (_setprop, "key prop1 val1 [prop2 val2] [prop3 val3] ..."),
    "delprop": (_delprop, "key prop1 [prop2] [prop3] ..."),
}
