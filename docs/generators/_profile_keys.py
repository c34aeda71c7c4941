"""The keys of a profile: their form from the schema, their meaning from here; a key without a meaning is an error."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hotsync.profiles import schema
from hotsync.profiles.schema import CheckSpec, Profile


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its table as written in TOML, the model that holds it, its name, form, default and meaning."""

    table: str
    model: str
    name: str
    form: str
    default: str
    meaning: str


FORMS = {
    "Name": "name",
    "AbsolutePath": "absolute path",
    "UnitName": "unit",
    "ServiceName": "service",
    "AccountPair": "`owner:group`",
}
"""The words for the schema's own kinds of text."""

MEANINGS = {
    "profile.name": "The profile's name. A site's profile replaces the shipped one of the same name.",
    "profile.title": "What people read.",
    "profile.since": "The oldest version of the application that the profile was written for. For people only.",
    "profile.answers": "Packages of the original's list that the profile answers. For people only.",
    "profile.tested": "How it was tried: `lab` (two booted servers), `contract` (the real program), `table` (against "
    "the contents of the packages), or empty: not at all. For people only.",
    "profile.not_carried": "Sentences about what is lost on purpose. For people only.",
    "profile.notes": "Sentences about what is special. For people only.",
    "detect.packages": "The application is here if one of these packages is installed.",
    "detect.debian": "... or one of these, which are names of Debian's.",
    "detect.rhel": "... or one of these, of RHEL's and its relatives.",
    "detect.nethserver": "... or one of these, of NethServer 7.",
    "detect.paths": "... or if one of these paths exists.",
    "detect.units": "... or if one of these units is known.",
    "files.include": "Carried. May have wildcards: they become the paths that they name at each run.",
    "files.exclude": "Not carried: absent after a promotion; what the SLAVE had there is set aside.",
    "files.protect": "Not carried, and what the SLAVE has there stays in its place, also in a promotion.",
    "files.rebuild": "Not carried, like `exclude`: caches and indexes that the application, or `restore`, makes anew.",
    "files.settled": "`required`: what `include` names comes settled, all of a path, or keeps its previous version.",
    "databases.engine": "The kind of server or file that holds the application's databases.",
    "databases.instance": "Which server of that kind, where there are several (of PostgreSQL: `15-main`).",
    "databases.socket": "Its socket, where it is not the usual one.",
    "databases.port": "Its port, where it is not the usual one.",
    "databases.dump": "Where the dump is to be put, replaced whole each time; empty: in HotSync's spool.",
    "databases.names": "Which databases; none means all.",
    "paused.unit": "The service that is paused: `NAME.service`, none that the machine or HotSync needs.",
    "paused.folders": "Where its files lie; those that are not there do not matter as long as one is.",
    "named.files": "Files of the application's settings. May have wildcards.",
    "named.pattern": "A regular expression of Python's whose one group is the path of a folder.",
    "services.mute": "Units that must not run on a waiting SLAVE.",
    "services.keep": "Units that run on this server also while it is a SLAVE, whatever the MASTER runs (of an "
    "instance: its template). Counts only in a profile of the SLAVE's own `/etc/hotsync/profiles.d`; cron and its kin "
    "are held anyway.",
    "services.start": "Units of the application, in the order in which they are started.",
    "services.cron": "Cron files that belong to the application.",
    "ownership.path": "A tree whose owner may have another number on another server.",
    "ownership.owner": "Owner and group of that tree, by name.",
    "ownership.folders": "The mode of every folder in it, as `0750`.",
    "ownership.files": "The mode of every file in it, as `0640`.",
    "requires.not_older": "Packages of which the SLAVE must not have an older version than the MASTER: another series "
    "(10.5 for 10.11) makes the readiness red, another patch amber. Database servers are asked for anyway.",
    "requires.databases": "The application is of no use without its databases: where the MASTER does not carry them "
    "(`databases disabled`), each of its runs warns.",
    "restore.make": "What is made anew: one of the things that HotSync knows how to make.",
    "restore.paths": "Of what (`postmap`: the tables).",
    "checks.title": "The question, as a statement that is true when all is well.",
    "checks.kind": "Which of the questions below is asked.",
    "checks.unit": "The unit that must be active.",
    "checks.port": "The TCP port on this server.",
    "checks.banner": "What the service must say first; empty: that it accepts the connection is enough.",
    "checks.url": "The address that is asked; its host should be `localhost`.",
    "checks.submission": "The port where people log in to send mail; 0: there is none.",
    "checks.recipient": "To whom mail must be accepted.",
}


def keys() -> Iterator[Key]:
    """Return every key of a profile, in the order of the schema."""
    for name, field in Profile.model_fields.items():
        model, many = _model_of(field.annotation)
        if model is None:
            for check in checks():
                yield from _keys_of(name, "[[checks]]", check)
        else:
            yield from _keys_of(name, f"[[{name}]]" if many else f"[{name}]", model)


def checks() -> Iterator[type[BaseModel]]:
    """Return the kinds of checks."""
    union = get_args(CheckSpec)[0]
    yield from get_args(union)


def kind_of(check: type[BaseModel]) -> str:
    """Return what `kind` is for a kind of check."""
    return str(get_args(check.model_fields["kind"].annotation)[0])


def description_of(model: type[BaseModel]) -> str:
    """Return what a table is about."""
    return " ".join((model.__doc__ or "").split())


def model_of(table: str) -> type[BaseModel] | None:
    """Given a section's name, return its model (None: the checks, of which there are several kinds)."""
    return _model_of(Profile.model_fields[table].annotation)[0]


def _model_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    many = get_origin(annotation) is tuple
    inner = get_args(annotation)[0] if many else annotation
    return (inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None), many


def _keys_of(section: str, table: str, model: type[BaseModel]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        meaning = MEANINGS[f"{section}.{name}"]
        if f"{section}.{name}" in schema.KEPT_FOR_LATER:
            meaning += " (Kept for later: nothing acts on it in this version.)"
        yield Key(table, model.__name__, name, form_of(field), _default_of(field), meaning)


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default in ("", ()):
        return "empty"
    return f"`{field.default}`".lower() if isinstance(field.default, bool) else f"`{field.default}`"


def form_of(field: FieldInfo) -> str:
    """Return what a key's value looks like, in words."""
    return _form(field.annotation, tuple(field.metadata))


def _form(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    if get_origin(annotation) is Annotated:
        base, *rest = get_args(annotation)
        return _form(base, (*rest, *metadata))
    if get_origin(annotation) is tuple:
        return f"list of {_form(get_args(annotation)[0])}s".replace("texts", "text")
    if get_origin(annotation) is Literal:
        return " or ".join("empty" if value == "" else f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_form(one) for one in get_args(annotation))
    pattern = next((found for part in metadata if (found := getattr(part, "pattern", None))), None)
    for word, form in FORMS.items():
        if pattern and pattern == get_args(getattr(schema, word))[1].pattern:
            return form
    if pattern:
        return f"text like `{pattern}`"
    return {int: "number", str: "text", bool: "true or false"}[annotation]
