"""Run as a process of its own, to be killed: one commit, or a life of many. Arguments: a pickled `Order`."""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.model.generation import Generation, Retention
from tests.support.replica_world import Mortal, TestClock, World


@dataclass
class Order:
    """What the child shall do: commit what is staged (and die at a tick or after some seconds), or live on."""

    base: Path
    disk: Path | None
    generation: Generation | None = None
    tick: int | None = None
    seconds: float = 0.0
    generations: int = 0
    seed: int = 0
    retention: Retention = field(default_factory=Retention)
    now: float = TestClock.time


class Suicidal(Mortal):
    """Dies for good."""

    def _tick(self) -> None:
        if self.ticks == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.ticks += 1


def commit(order: Order) -> None:
    """Commit what lies in staging; print how long it took and how many changes of the disk it was."""
    assert order.generation is not None
    world = World(order.base, random.Random(0), order.retention, disk=order.disk, clock=TestClock(order.now))
    effects = Suicidal(order.tick)
    started = time.monotonic()
    if order.seconds:
        # the default of SIGALRM ends the process in the kernel: no line of Python runs after it
        signal.setitimer(signal.ITIMER_REAL, order.seconds)
    world.replica(effects).commit(order.generation.number, order.base / "changes", order.generation)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(time.monotonic() - started, effects.ticks)


def live(order: Order) -> None:
    """Make generations; before each, what it will be is written down beside, after each, that it was acknowledged."""
    world = World(order.base, random.Random(order.seed), disk=order.disk)
    for _ in range(order.generations):
        world.live(12)
        changes = world.plan()
        if not changes:
            continue
        number = world.replica().state().generation + 1
        kept = dict(world.current), dict(world.known)
        world.remember(number, changes)
        (order.base / f"expected-{number}").write_bytes(pickle.dumps(world.expected[number]))
        after, (world.current, world.known) = (world.current, world.known), kept
        world.sync(changes)
        world.current, world.known = after
        with (order.base / "acknowledged").open("a") as file:
            file.write(f"{number}\n")
        world.clock.time += 600


if __name__ == "__main__":
    ordered: Order = pickle.loads(bytes.fromhex(sys.argv[1]))
    if ordered.generations:
        live(ordered)
    else:
        commit(ordered)
