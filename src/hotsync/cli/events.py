"""The command `signal-event`: exit codes and log lines are the original's."""

from __future__ import annotations

import json
import os
import sys

from hotsync.cli.hand_over import FAILED, hand_over
from hotsync.flows.events import Invocation, NoSuchEvent, Outlets, known_events, run_event
from hotsync.system.paths import Paths, from_environment
from hotsync.system.syslog import SystemLog

NO_SUCH_EVENT = 2
MISUSED = 255
USAGE = "usage: signal-event [-j|--json] EVENT [ARG ...]\n"
OWN = "--own"


def _help(paths: Paths) -> str:
    return f"""{USAGE}
Runs what belongs to an event: HotSync's own actions, then the executables in
{paths.site_events}/EVENT.d in name order. All run, also when one fails.
Their output is in the system log.

    -j, --json  one JSON object for each step on standard output
    --own       first of all words, on NethServer: only what HotSync and
                {paths.site_events} do at the event. Elsewhere it changes
                nothing.

On NethServer its own signal-event is called in the place of this one, with the
same words; a link in its folder of the event may call `signal-event --own`.

Events with actions of HotSync's own:
{"".join(f"    {name}{chr(10)}" for name in sorted(known_events(paths)))}
Exit: 0 every action did well, 1 one failed, 2 no such event, 255 no event named.
"""


def _print(line: str) -> None:
    print(line, flush=True)


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tell(step: dict[str, object]) -> None:
    _print(json.dumps({**step, "pid": os.getpid()}))


def _silent(_step: dict[str, object]) -> None:
    pass


def signal_event() -> int:
    """Run `signal-event EVENT [ARG ...]`."""
    paths, words = from_environment(), sys.argv[1:]
    if words[:1] in (["--help"], ["-h"]):
        _print(_help(paths).rstrip())
        return 0
    theirs = paths.platform().signal_event
    if words[:1] == [OWN]:
        words = words[1:]
    elif theirs is not None:
        return hand_over("signal-event", str(paths.at(theirs)), words)
    as_json = words[:1] in (["--json"], ["-j"])
    event, *args = words[as_json:] or [""]
    if not event:
        sys.stderr.write(USAGE)
        return MISUSED
    if event == "actions":
        _complain("'actions' is not a valid event name.")
        return FAILED
    out = Outlets(SystemLog("esmith::event", paths.at("/dev/log")), _complain, _tell if as_json else _silent)
    try:
        call = Invocation(paths, event, tuple(args), _complain if as_json else _print)
        return 0 if run_event(call, out) else FAILED
    except NoSuchEvent as error:
        _complain(f"signal-event: {error}")
        return NO_SUCH_EVENT
    except KeyboardInterrupt:
        return 130
