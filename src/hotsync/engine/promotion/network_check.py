"""Whether the running network is production's: its addresses, its static routes, the size of its packets."""

from __future__ import annotations

from hotsync.backends.network import addresses as live
from hotsync.engine.network import ways
from hotsync.engine.network.writing import master_state
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, NetworkState
from hotsync.model.promotion import ETC, NetworkPlan
from hotsync.model.report import Check, Verdict
from hotsync.system.paths import Paths

ADDRESSES_CHECK = "production.addresses"
"""The name of that check."""

_TITLE = "this server has the addresses and routes of production"


def missing_addresses(plan: NetworkPlan) -> tuple[Address, ...]:
    """Return the addresses of production that are not up on their interface."""
    present = {(address.interface, address.address) for address in live.read_addresses()}
    return tuple(address for address in plan.addresses if (address.interface, address.address) not in present)


def check_network(paths: Paths, plan: NetworkPlan) -> Check:
    """Return what of production's network this server has not."""
    if not plan.choice.takes_addresses:
        hint = "Give it the MASTER's addresses by hand; until then nobody finds it."
        return Check(ADDRESSES_CHECK, _TITLE, Verdict.AMBER, "its own network was kept", hint)
    if missing := missing_addresses(plan):
        shown = ", ".join(f"{address} on {address.interface}" for address in missing)
        return Check(ADDRESSES_CHECK, _TITLE, Verdict.RED, f"not up: {shown}", "`ip address` shows what is.")
    try:
        state = master_state(paths.replica / "tree" / ETC, plan)
    except ConfigError:
        state = NetworkState()  # told before the claim
    routes, mtus = ways.faults(state)
    if routes:
        detail = f"routes of the MASTER are missing: {', '.join(routes)}"
        return Check(ADDRESSES_CHECK, _TITLE, Verdict.RED, detail, "`ip route` shows what is.")
    if mtus:
        hint = "`ip -d link` shows what a card can do. Until then larger packets do not get through."
        return Check(ADDRESSES_CHECK, _TITLE, Verdict.AMBER, f"another MTU than the MASTER's: {', '.join(mtus)}", hint)
    return Check(ADDRESSES_CHECK, _TITLE, Verdict.GREEN, ", ".join(str(address) for address in plan.addresses))
