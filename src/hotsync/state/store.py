"""Role and peer on disk: small documents with a schema number, each appearing whole by one rename."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ConfigError
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state.hold import held
from hotsync.state.undo import is_undoing
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
_ROLE = TypeAdapter(RoleRecord)
_PEER = TypeAdapter(Peer)
_T = TypeVar("_T")


def load_role(paths: Paths) -> RoleRecord:
    """Return role, epoch and claim of this server (none yet: the empty record); raise ConfigError if it is broken."""
    return _load(paths.role_file, _ROLE) or RoleRecord()


def save_role(paths: Paths, record: RoleRecord) -> None:
    """Make this the role of this server, durably, at once."""
    _save(paths.role_file, _ROLE, record)


def load_peer(paths: Paths) -> Peer | None:
    """Return the paired server, or None; raise ConfigError if the document is broken."""
    return _load(paths.peer_file, _PEER)


def save_peer(paths: Paths, peer: Peer) -> None:
    """Make this the paired server."""
    _save(paths.peer_file, _PEER, peer)


def forget_peer(paths: Paths) -> None:
    """Forget the paired server; nothing happens if there is none."""
    files.forget(paths.peer_file)


def set_production(paths: Paths, allowed: bool) -> None:
    """Set or take away the flag without which muted units do not start; a server that holds itself gets none, nor does
    one whose promotion is being undone."""
    allowed = allowed and held(paths) is None and not is_undoing(paths)
    if allowed == paths.production_flag.exists():
        return
    if allowed:
        files.write_atomic(paths.production_flag, b"", mode=0o644)
    else:
        paths.production_flag.unlink()
        files.sync_directory(paths.state)


def save_role_and_flag(paths: Paths, record: RoleRecord) -> None:
    """Make this the role of this server, with the production flag that follows; cut anywhere, it fails closed."""
    if record.role is not Role.MASTER:
        set_production(paths, False)
    save_role(paths, record)
    set_production(paths, record.role is Role.MASTER)


def _load(path: Path, adapter: TypeAdapter[_T]) -> _T | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        document: object = json.loads(data)
        if not isinstance(document, dict):
            raise TypeError("it holds no object")
        fields = dict(cast("Mapping[str, object]", document))
        schema = fields.pop("schema", None)
        if not isinstance(schema, int) or schema < 1:
            raise TypeError("it has no schema number")
        if schema > SCHEMA:
            raise ConfigError(
                document=str(path),
                faults=f"it was written by a newer HotSync (schema {schema}, this one knows {SCHEMA})",
                hint="Install the newer HotSync again on this server.",
            )
        return adapter.validate_python(fields)
    except (ValueError, TypeError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> ConfigError:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    else:
        reason = str(error)
    return ConfigError(
        document=str(path),
        faults=reason,
        hint=f"Put the file back from a backup of this server; without {path.name} it has forgotten who it is.",
    )


def _save(path: Path, adapter: TypeAdapter[_T], value: _T) -> None:
    fields = cast("dict[str, object]", adapter.dump_python(value, mode="json"))
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, **fields}, indent=2) + "\n"
    files.write_atomic(path, text.encode(), mode=0o600)
