"""Run as a process of its own, to be killed: one `hotsync` below a root of its own.

Arguments: the root, and where to die (or to lose a file). What became of a run that ended is printed as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hotsync.changes.settle import Settling
from hotsync.engine.sync import collect
from hotsync.engine.sync import host as sync_host
from hotsync.engine.sync.host import SyncHost
from hotsync.flows import sync
from hotsync.manifest.store import Manifest
from hotsync.sources.registry import Collected
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport import pump
from hotsync.transport.client import PeerLink
from hotsync.transport.rsync import TransferProgress

FETCHED: list[int] = []
ROOT, DYING = Path(), ""


def put(owner: Any, name: str, value: object) -> None:
    setattr(owner, name, value)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, act: Callable[[], None] = die) -> None:
    """Have something done when a function is called."""
    real = getattr(owner, name)

    def called(*args: Any, **more: Any) -> Any:
        act()
        return real(*args, **more)

    put(owner, name, called)


def after(owner: Any, name: str) -> None:
    """Die when a function has returned."""
    real = getattr(owner, name)

    def called(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        die()

    put(owner, name, called)


POINTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "after the plan": lambda: before(SyncHost, "guard"),
    "after begin": lambda: after(PeerLink, "begin"),
    "while it sends": lambda: None,
    "after it was sent": lambda: after(PeerLink, "send"),
    "after the final changeset": lambda: after(Settling, "finalize"),
    "before commit": lambda: before(PeerLink, "commit"),
    "while the SLAVE commits": lambda: None,
    "after commit": lambda: after(PeerLink, "commit"),
    "after our manifest": lambda: before(sync_host, "save_sent"),
    "in our manifest": lambda: before(Manifest, "set_generation"),
    "loses what it sends": lambda: before(PeerLink, "send", lambda: (ROOT / "srv/file 3").unlink()),
    "after the record": lambda: after(sync_host, "save_sent"),
}


def say(phase: str, figures: TransferProgress | None) -> None:
    if DYING == "while it sends" and figures is not None and 0 < figures.bytes < figures.total_bytes:
        die()


def run(root: Path) -> None:
    before(PeerLink, "fetch_manifest", lambda: FETCHED.append(1))
    # nobody is mailed by a test
    put(sync, "tell", lambda *_: None)
    # what this machine is changes while other tests run
    put(collect, "collect_all", lambda *_, **__: Collected((), ()))
    pump.TICK = 0.02
    POINTS[DYING]()
    report = sync.run_sync(Paths(root), SystemClock(), sync.SyncOptions(), say)
    json.dump(
        {"code": report.exit_code, "summary": report.summary, "generation": report.generation, "fetched": len(FETCHED)},
        sys.stdout,
    )


if __name__ == "__main__":
    ROOT, DYING = Path(sys.argv[1]), sys.argv[2]
    run(ROOT)
