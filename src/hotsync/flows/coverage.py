"""`hotsync coverage`: facts -> decision -> report; nothing but the record of it is changed."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.engine.coverage import Teller, read_coverage
from hotsync.engine.drift import read_drift
from hotsync.errors import NotReady
from hotsync.model.coverage.findings import DAYS, Coverage
from hotsync.model.coverage.result import cover
from hotsync.model.drift import Difference
from hotsync.model.identity import Role
from hotsync.state.coverage import save_coverage
from hotsync.state.facts import load_facts
from hotsync.state.store import load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Drift:
    """How a SLAVE differs from its MASTER."""

    looked_at: float
    differences: tuple[Difference, ...]


def look(paths: Paths, clock: Clock, days: int, say: Teller) -> Coverage | Drift:
    """Return what of this server nothing protects, and keep that for the status; on a SLAVE how it differs.

    Kept is only what a MASTER answers to the usual question. Raise NotReady on a SLAVE without a generation.
    """
    role = load_role(paths).role
    if role is Role.SLAVE:
        return _compare(paths, clock, say)
    found = cover(read_coverage(paths, clock, role, days, say), clock.now(), days)
    if role is Role.MASTER and days == DAYS:
        save_coverage(paths, found)
    return found


def _compare(paths: Paths, clock: Clock, say: Teller) -> Drift:
    tree = paths.replica / "tree"
    say("Comparing this server with what the MASTER told")
    if not paths.manifest.exists():
        raise NotReady(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )
    with lock.held(paths.replica_lock, "commit", wait=True):  # one generation, not the middle of a commit
        master = load_facts(tree)
    return Drift(clock.now(), read_drift(paths, tree, master))
