"""Which fences are set up here, and what is known of them."""

from __future__ import annotations

from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Rehearsed, check_ways, still_of_use, ways_of
from hotsync.model.report import Check
from hotsync.state import store
from hotsync.state.fences import load_fences
from hotsync.state.settings import read_settings
from hotsync.system.paths import Paths


def ways(paths: Paths) -> dict[Tier, str]:
    """Return the fences that are set up on this server."""
    settings, _ = read_settings(paths)
    peer = store.load_peer(paths)
    return ways_of(peer.fingerprint if peer else "", settings.fence_ssh, settings.fence_command, settings.fence_test)


def known_fences(paths: Paths) -> tuple[Rehearsed, ...]:
    """Return what is known of the fences that are set up now."""
    return still_of_use(ways(paths), load_fences(paths))


def check_fences(paths: Paths, now: float) -> tuple[Check, ...]:
    """Return whether each fence that is set up is proven; where nothing is tried by itself, old results are no
    fault."""
    settings, _ = read_settings(paths)
    days = settings.fence_test_days if settings.drill else 0
    return check_ways(ways(paths), load_fences(paths), days, store.load_role(paths).since, now)
