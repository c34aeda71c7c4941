"""The network of a NethServer that becomes SLAVE: its database without production's addresses, and the files of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from hotsync.backends.network import esmith, esmith_slave
from hotsync.backends.network.detect import network_system
from hotsync.engine.rejoin.network import write_files
from hotsync.errors import CommandFailed
from hotsync.model.network.values import Address
from hotsync.state.configdb import Document, find_database
from hotsync.system import files
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.rejoin")
_DATABASE = "networks"
KEPT = "nethserver-networks"
"""The name under which the database is kept as it was."""


def database_records(paths: Paths, given_up: Iterable[Address], own: Iterable[Address]) -> dict[str, str | None]:
    """Return the records of NethServer's networks database that change (None: removed); none on any other system.

    Raise ConfigError where it is not understood, or cannot hold this server's own addresses.
    """
    etc = paths.at("/etc")
    system = network_system(etc)
    if system is None or system.name != esmith.NAME:
        return {}
    system.read(etc)
    return esmith_slave.as_slave(find_database(_DATABASE, paths).read(), given_up, own)


def write_database(paths: Paths, records: Mapping[str, str | None], given_up: Iterable[Address], keep: Path) -> None:
    """Write records into the database, and let no file that is made of it give this server production's addresses.

    What they were is kept. NethServer's own programs write the files; what one of those that stay would still bring
    back at a boot is removed. Done already is fine.
    """
    etc, gone = paths.at("/etc"), tuple(given_up)
    if not records and not esmith_slave.files_with(etc, gone):
        return
    database = find_database(_DATABASE, paths)
    kept = keep / KEPT
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_atomic(kept, database.path.read_bytes(), mode=0o600)
    write_files(etc, dict.fromkeys(esmith_slave.files_with(etc, gone)), keep)
    database.update(lambda document: _apply(document, records))
    try:
        esmith_slave.write_files(etc)
    except CommandFailed as error:  # its event does it again when the addresses are taken
        _log.warning("%s", error.sentence)
    write_files(etc, dict.fromkeys(esmith_slave.files_with(etc, gone)), keep)


def _apply(document: Document, records: Mapping[str, str | None]) -> None:
    for key, stored in records.items():
        if stored is None:
            document.pop(key, None)
        else:
            document[key] = stored
