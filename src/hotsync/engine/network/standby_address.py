"""A promoted server's network files without the standby address that the promotion added to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hotsync.backends.network import esmith, esmith_slave
from hotsync.backends.network.detect import network_system
from hotsync.engine.network.writing import same_network
from hotsync.errors import ConfigError
from hotsync.model.network.rename import without_addresses
from hotsync.model.network.values import Address
from hotsync.state.configdb import find_database
from hotsync.system.paths import Paths


def files_without(etc: Path, addresses: Iterable[Address], paths: Paths) -> dict[str, str | None]:
    """Given an /etc, return the files of its network without these addresses (None: to be removed).

    What a promotion wrote beside the administrator's lines goes as it came; only where it is part of them they are
    written anew. On NethServer its database is changed, and the file that was made of the alias goes. Raise ConfigError
    where that cannot be done.
    """
    gone = tuple(addresses)
    system = network_system(etc)
    if system is None:
        raise ConfigError(document="/etc", faults="no network system that HotSync knows configures this server")
    if system.name == esmith.NAME:
        find_database("networks", paths).update(lambda document: esmith.drop_aliases(document, gone))
        # its event would write the files anew, and stop production's network for that
        return dict.fromkeys(esmith_slave.files_with(etc, gone, aliases=True))
    before = system.read(etc)
    wanted = without_addresses(before, gone)
    if same_network(before, wanted):
        return {}
    dropped = system.drop_standby(etc)
    texts = {path: text for path in system.files(etc) if (text := _text(etc, path)) is not None}
    after = {**texts, **{path: text for path, text in dropped.items() if text is not None}}
    for path in (path for path, text in dropped.items() if text is None):
        after.pop(path, None)
    if same_network(system.parse(after), wanted):
        return dropped
    anew = system.render(wanted)
    if not same_network(system.parse(anew), wanted):
        raise ConfigError(document="/etc", faults=f"{system.name} would not say all of this server's network")
    return {**dict.fromkeys(system.files(etc)), **anew}


def _text(etc: Path, path: str) -> str | None:
    try:
        return (etc / path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
