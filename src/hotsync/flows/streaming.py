"""Streaming is switched on: what that changes on this MASTER's servers is said before it is done."""

from __future__ import annotations

from collections.abc import Callable

from hotsync.engine.standby import streaming
from hotsync.flows.save import Surroundings, save
from hotsync.model.identity import Role
from hotsync.state.store import load_role
from hotsync.system.paths import Paths

Say = Callable[[str], None]


def switch_on(
    paths: Paths,
    say: Say,
    *,
    now: bool,
    find: streaming.Find = streaming.servers,
    put_into_force: Callable[[Say], None] | None = None,
) -> None:
    """Given that the setting is stored, say what it will change; `now`: do all of it, the restarts as well.

    On a SLAVE there is nothing to say: its MASTER streams. Raise HotSyncError.
    """
    if not now:
        if load_role(paths).role is not Role.SLAVE:
            for sentence in streaming.announce(paths, find):
                say(sentence)
        say("Nothing is changed yet: signal-event nethserver-hotsync-save does it, but restarts no server.")
        return
    if put_into_force is None:
        save(Surroundings(paths), say)
    else:
        put_into_force(say)
    for unit in streaming.restart_waiting(paths):
        say(f"{unit} was restarted.")
