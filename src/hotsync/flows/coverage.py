"""`hotsync coverage`: facts -> decision -> report; nothing but the record of it is changed."""

from __future__ import annotations

from hotsync.engine.coverage import Teller, read_coverage
from hotsync.errors import WrongRole
from hotsync.model.coverage import DAYS, Coverage
from hotsync.model.coverage_result import cover
from hotsync.model.identity import Role
from hotsync.state.coverage import save_coverage
from hotsync.state.store import load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def look(paths: Paths, clock: Clock, days: int, say: Teller) -> Coverage:
    """Return what of this server nothing protects, and keep that for the status; raise WrongRole on a SLAVE.

    An answer to another question than the usual one is not kept.
    """
    role = load_role(paths).role
    if role is Role.SLAVE:
        raise WrongRole(role="the SLAVE", command="hotsync coverage", wanted="the MASTER")
    found = cover(read_coverage(paths, clock, role, days, say), clock.now(), days)
    if days == DAYS:
        save_coverage(paths, found)
    return found
