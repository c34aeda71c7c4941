"""The sum of a file's content as it travels: a line of JSON, exactly so and in no other way."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii as quoted

from hotsync.errors import ProtocolError
from hotsync.model.changeset import MAX_LINE, checked_path

_SUM = re.compile(r"[0-9a-f]{64}")


def render_sum(path: str, digest: bytes) -> bytes:
    """Given a path and the SHA-256 of its content, return their line, with its newline."""
    return f'[{quoted(path)},"{digest.hex()}"]\n'.encode("ascii")


def parse_sum(line: bytes) -> tuple[str, bytes]:
    """Given a line from the peer, return path and sum; raise ProtocolError unless it is what `render_sum` writes."""
    if len(line) > MAX_LINE:
        raise ProtocolError(reason="the line of a sum is too long")
    try:
        name, digest = json.loads(line)
        path = checked_path(name)
        if not isinstance(digest, str) or not _SUM.fullmatch(digest):
            raise ValueError("a sum is none")
        known = bytes.fromhex(digest)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(reason=f"the line of a sum is malformed ({error})") from error
    if render_sum(path, known) != line:
        raise ProtocolError(reason="the line of a sum is not in its canonical form")
    return path, known
