"""docs/wire.md: what goes between the two servers, every message with its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from docs.generators import table
from hotsync.transport import messages
from hotsync.transport.messages import PROTOCOL, Message, name_of
from hotsync.transport.wire import MAX_BYTES, MAX_FIRST_JSON, MAX_JSON

PATH = "docs/wire.md"

INTRODUCTION = f"""# The wire

What goes between the two servers.
How it is secured, and why: [how HotSync works](architecture.md#the-wire-transport-agent).

One TCP port, TLS 1.3. What follows is inside of it.

## Frames

| bytes | what |
| --- | --- |
| 1 | kind: `J` a message, `B` bytes |
| 4 | length, most significant byte first |
| length | the body |

A message is one JSON object of at most {MAX_JSON // 1024} KiB ({MAX_FIRST_JSON // 1024} KiB for the first one of
a connection), a byte frame holds at most {MAX_BYTES // 1024} KiB. A stream of bytes is any number of byte frames, and
ends with an empty one. On a *bulk* connection all that comes after `bulk_ready` is rsync's, unframed; on a *stream* all
that comes after `stream_ready` is the database server's.

Every message has `type`, `protocol` (now {PROTOCOL}) and `epoch` (the highest that the sender knows of). A message with
an unknown key, a missing one, or a value out of its bounds is refused, and so is one that comes where another is due.
Either side may answer with `error`, which the other raises as the same error, if the one that tells it has shown the
pinned certificate. Of anybody else it means no more than that pairing did not go on; no words of it are shown.

## Conversations

| connection | MASTER says | SLAVE answers |
| --- | --- | --- |
| pairing | `open`, `pair_start` | `pair_reply` |
| | `pair_confirm` | `pair_confirmed` |
| control | `open` | `welcome` |
| | `begin`, then the planned changeset as a stream | `ready` |
| | `commit`, then the final changeset as a stream | `committed` |
| | `confirm` | `confirmed` |
| | `get_manifest` | the manifest as a stream of *content* lines |
| | `get_sums`, where it took that manifest | `sums`, then a stream of lines: path and SHA-256 of its content |
| | `alive`, now and then, and where it asks what replicas have applied | `alive` |
| | `loss`, each time when it has looked what is newer | `alive` |
| control, made by the SLAVE for a switchover | `welcome` | `open` |
| | `hand_over_state` | `ask_hand_over` |
| control, from a former MASTER to the new one | `open` (as *slave*) | `welcome` |
| | `get_terms` | `terms` |
| | `rejoined` | `alive` |
| bulk | `open` with the generation | `bulk_ready`, then rsync |
| stream | `open` with the dataset's name | |
| | `alive`, now and then, while nobody uses it | `alive`, or `stream_begin` when somebody does |
| | `stream_ready`, then PostgreSQL's replication protocol | the same |

While an answer takes its time, `working` comes every few seconds.

## Messages

"""


WORDS = {
    "integer": "a whole number",
    "number": "seconds since 1970",
    "boolean": "true or false",
    "object": "names and values",
    "null": "`null`",
}


BOUNDLESS = 2**53
"""From here on a bound says only what JSON carries exactly everywhere."""


def kinds() -> Iterator[type[Message]]:
    """Return every kind of message, in the order of the source."""
    for value in vars(messages).values():
        if isinstance(value, type) and issubclass(value, Message) and value is not Message:
            yield value


def render() -> str:
    """Return the page."""
    _, schema = models_json_schema([(kind, "validation") for kind in kinds()])
    return INTRODUCTION + "\n".join(_section(kind, schema["$defs"]) for kind in kinds())


def _section(kind: type[Message], definitions: dict[str, Any]) -> str:
    words = " ".join((kind.__doc__ or "").split())
    properties = definitions[kind.__name__]["properties"]
    needed = definitions[kind.__name__].get("required", [])
    rows = [
        (f"`{name}`", _form(form, definitions), "yes" if name in needed else "no")
        for name, form in properties.items()
        if name not in ("type", "protocol", "epoch")
    ]
    text = f"### `{name_of(kind)}`\n\n{words}\n"
    return text + ("\n" + table(("key", "value", "needed"), rows) if rows else "")


def _form(form: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in form:
        definition = definitions[form["$ref"].rpartition("/")[2]]
        keys = ", ".join(f"`{name}`" for name in definition["properties"])
        return f"an object with {keys}"
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_form(one, definitions) for one in form["anyOf"]))
    if "enum" in form:
        return " or ".join(f"`{value}`" if value else "empty" for value in form["enum"])
    if form["type"] == "array":
        most = f", at most {form['maxItems']}" if "maxItems" in form else ""
        return f"a list: each {_form(form['items'], definitions)}{most}"
    if form["type"] == "string":
        return "text"
    if form["type"] == "integer" and form.get("maximum", BOUNDLESS) < BOUNDLESS:
        return f"a whole number, {form.get('minimum', 0)} to {form['maximum']}"
    return WORDS[form["type"]]
