"""What a SLAVE needs to log in at its MASTER's server as a replica: a document of its own, beside the dumps."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import RestoreFailed
from hotsync.sources.spool import open_plain

SCHEMA = 1
DOCUMENT = "stream.json"
_PASSWORD = re.compile(r"[A-Za-z0-9]{16,64}")
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class StreamLogin:
    """The password of the one account that a replica logs in with; it is there only while a server is streamed."""

    schema: int
    password: str


def render_login(password: str) -> bytes:
    """Return the document as it lies in the spool."""
    return (json.dumps(asdict(StreamLogin(SCHEMA, password)), indent=1) + "\n").encode("ascii")


def load_login(folder: Path) -> StreamLogin | None:
    """Given the folder of a collected server, return the login; None: it is not streamed. Raise RestoreFailed."""
    try:
        with open_plain(folder / DOCUMENT) as file:
            login = TypeAdapter(StreamLogin).validate_json(file.read(_LARGEST), strict=True)
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise RestoreFailed(dataset=str(folder), reason=f"{DOCUMENT} cannot be read: {error}") from error
    # it becomes part of a statement
    if login.schema != SCHEMA or not _PASSWORD.fullmatch(login.password):
        raise RestoreFailed(dataset=str(folder), reason=f"{DOCUMENT} holds no password of HotSync's")
    return login
