"""Makes this server a SLAVE for good: after a promotion that is undone, and of an old MASTER that comes back."""

from __future__ import annotations

import logging

from hotsync.backends import yum_plugin
from hotsync.backends.units import OwnUnits, Units
from hotsync.errors import CommandFailed
from hotsync.model.identity import Role, RoleRecord
from hotsync.state import store
from hotsync.state.configdb import configuration
from hotsync.state.settings import read_settings
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.roles")


def become_slave(paths: Paths, record: RoleRecord, master_host: str, units: OwnUnits | None = None) -> None:
    """Given a host on which nothing of production runs, make it SLAVE of the server at `master_host`, by this record.

    Cut anywhere, doing it again does the rest: the production flag goes before the role changes by one rename, and what
    follows from the role comes last. Raise ValueError if the record is no SLAVE's, or one of a promotion.
    """
    if record.role is not Role.SLAVE or record.claim is not None:
        raise ValueError("a server becomes SLAVE by the record of a SLAVE without a claim")
    store.save_role_and_flag(paths, record)
    configuration(paths).set_props("hotsync", {"role": "slave", "MasterHost": master_host, "SlaveHost": ""})
    if switched := yum_plugin.follow(paths, record.role):
        _log.info("%s", switched)
    arrange_units(paths, units or Units())


def arrange_units(paths: Paths, units: OwnUnits) -> None:
    """Let HotSync's own units follow the role of a SLAVE; where that fails a warning says so, and a boot does it."""
    settings, _ = read_settings(paths)
    try:
        units.arrange(Role.SLAVE, enabled=settings.enabled)
    except CommandFailed as error:
        _log.warning("HotSync's own units did not follow the role: %s", error.sentence)
