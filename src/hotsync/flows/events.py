"""Events: the built-in actions, then the site's own in name order; all run, and one that fails fails the event."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.errors import CommandFailed, ExitCode, HotSyncError
from hotsync.model import host_events
from hotsync.system import command
from hotsync.system.paths import Paths
from hotsync.system.platform import Kind

Line = Callable[[str], None]
Tell = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One signal: the event with its arguments, and where to say what for the person who waits."""

    paths: Paths
    event: str
    args: tuple[str, ...]
    say: Line


def _save(call: Invocation) -> None:
    from hotsync.flows.save import Surroundings, save

    save(Surroundings(call.paths), call.say)


def _restored(call: Invocation) -> None:
    from hotsync.flows.restored import post_restore_data

    post_restore_data(call.paths, call.say)


Act = Callable[[Invocation], None]

BUILT_IN: dict[str, Act] = {
    "nethserver-hotsync-save": _save,
    "post-restore-data": _restored,
}
"""What HotSync itself does at an event; a function raises HotSyncError if it fails, and imports late what is heavy."""


def known_events(paths: Paths) -> frozenset[str]:
    """Return the events that HotSync itself answers here; on NethServer its own packages answer the others."""
    ours = frozenset(BUILT_IN)
    return ours if paths.platform().kind is Kind.NETHSERVER7 else ours | frozenset(host_events.EVENTS)


def _built_in(call: Invocation) -> list[tuple[str, Act]]:
    """Return what HotSync itself does at an event, each with its name in the log."""
    if call.event not in known_events(call.paths):
        return []
    title = f"hotsync:{call.event}"
    if call.event in BUILT_IN:
        return [(title, BUILT_IN[call.event])]
    from hotsync.backends.host_events import perform, read_event_facts

    try:
        actions = host_events.actions_at(call.event, read_event_facts(call.paths))
    except CommandFailed as error:
        return [(title, partial(_fail, error))]
    if not actions:
        return [(title, lambda told: told.say(host_events.nothing_to_do(told.event)))]
    return [(f"{title}/{action.name}", partial(_perform, perform, action)) for action in actions]


def _fail(error: HotSyncError, _call: Invocation) -> None:
    raise error


def _perform(
    perform: Callable[[host_events.HostAction], None], action: host_events.HostAction, _call: Invocation
) -> None:
    perform(action)


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where an event speaks: the system log, the person (what fails), and a program (one object a step)."""

    log: Line
    complain: Line
    tell: Tell


class NoSuchEvent(Exception):
    """Nothing is to be done at an event of this name."""


def actions_of(paths: Paths, event: str) -> tuple[list[str], list[str]]:
    """Given an event, return its site's executables in name order and what is skipped; raise NoSuchEvent."""
    folder = paths.site_events / f"{event}.d"
    known = event in known_events(paths)
    if not event or "/" in event or event.startswith(".") or not (known or folder.is_dir()):
        raise NoSuchEvent(f'there is no event "{event}": no built-in action, and no folder {folder}')
    names = sorted(os.listdir(folder), key=os.fsencode) if folder.is_dir() else []
    found = [str(folder / name) for name in names if not (folder / name).is_dir()]
    return [path for path in found if os.access(path, os.X_OK)], [
        path for path in found if not os.access(path, os.X_OK)
    ]


def run_event(call: Invocation, out: Outlets) -> bool:
    """Run all actions of an event; return whether each did well; raise NoSuchEvent."""
    site, skipped = actions_of(call.paths, call.event)
    for path in skipped:
        out.log(f"Skipping non-executable event-handler {Path(path).name}")
    built_in = dict(_built_in(call))
    actions = [*built_in, *site]
    out.log(" ".join(["Event:", call.event, *call.args]))
    out.tell({"event": call.event, "args": " ".join(call.args), "steps": len(actions)})
    good = True
    for step, action in enumerate(actions):
        out.tell({"event": call.event, "action": action, "state": "running", "step": step})
        started = time.monotonic()
        status = (
            _run_built_in(built_in[action], call, out) if action in built_in else _run_program(call, action, step, out)
        )
        seconds = f"{time.monotonic() - started:.6f}"
        number = status & 0x7F or status >> 8
        line = f"Action: {action} {f'FAILED: {number}' if status else 'SUCCESS'} [{seconds}]"
        out.log(line)
        if status:
            good = False
            out.complain(line)
        progress = f"{(step + 1) / len(actions):.2f}"
        done: dict[str, object] = {"state": "done", "exit": status, "time": seconds, "step": step, "progress": progress}
        out.tell({"event": call.event, "action": action} | done)
    out.log(f"Event: {call.event} {'SUCCESS' if good else 'FAILED'}")
    out.tell({"event": call.event, "status": "success" if good else "failed"})
    return good


def _run_built_in(act: Act, call: Invocation, out: Outlets) -> int:
    def say(line: str) -> None:
        out.log(line)
        call.say(line)

    try:
        act(Invocation(call.paths, call.event, call.args, say))
    except HotSyncError as error:
        for line in [*map(str.rstrip, error.sentence.splitlines()), error.hint]:
            out.log(line)
            out.complain(line)
        return int(error.exit_code) << 8
    except OSError as error:
        for write in (out.log, out.complain):
            write(f"{error.filename or call.event}: {error.strerror}")
        return ExitCode.STEP << 8
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            out.log(line)
        out.complain(f"a bug in HotSync: {type(error).__name__}: {error}")
        return ExitCode.BUG << 8
    return 0


def _run_program(call: Invocation, path: str, step: int, out: Outlets) -> int:
    """Run an executable with its output going to the log line by line; return its status as wait(2) has it."""
    try:
        with command.spawn(
            [path, call.event, *call.args], stderr=command.STDOUT, env={"PTRACK_TASKID": str(step + 1)}
        ) as process:
            assert process.stdout is not None
            for line in _lines(process.stdout):
                out.log(line)
            code = process.wait()
    except OSError as error:
        out.log(f"{path}: {error.strerror}")
        out.complain(f"{path}: {error.strerror}")
        return 127 << 8
    return -code if code < 0 else code << 8


def _lines(pipe: Iterator[bytes]) -> Iterator[str]:
    for line in pipe:
        yield line.decode("utf-8", "replace").rstrip("\n")
