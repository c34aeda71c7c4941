"""Root's ssh to another server: a command there, as a fence gives it, and a look that runs nothing there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.clock import Clock

SECONDS = 20.0
OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=yes",
    "-o", "ControlPath=none",  # a connection of somebody else's may be one to a server that is gone
)  # fmt: skip
"""With a key that needs no person, and to a host whose key is known."""

# A session is what an own command of the key, or of the server, is run for, whatever was asked: so there is none.
_NO_SESSION = ("-v", "-N", "-o", "ClearAllForwardings=no", "-o", "UpdateHostKeys=no", "-o", "StreamLocalBindUnlink=yes")
_BUS = "/run/dbus/system_bus_socket"
_MAY_SWITCH_OFF = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "CanPowerOff")
_LOOK_SECONDS = 0.05
_CHATTER = ("debug1:", "OpenSSH_", "Authenticated to", "Transferred:", "Bytes per second:")


@dataclass(frozen=True, slots=True)
class Login:
    """Who is let in, whether a command of that key runs instead of any other, and whether that account may switch the
    server off (None: not to be found out)."""

    user: str
    forced: bool
    may_switch_off: bool | None


def run(host: str, words: Sequence[str]) -> None:
    """Run a command there; raise CommandFailed."""
    command.run(["ssh", *OPTIONS, "--", host, *words], timeout=SECONDS)


def look(host: str, door: Path, clock: Clock) -> Login:
    """Log in there as `run` would, without a session, and ask what that account may; raise CommandFailed.

    `door` is a path for a socket of this host's, behind which is the other one's message bus: it is there once ssh
    has been let in. What is asked on that bus is a question; nothing is run there, not even an own command of the key.
    """
    user = _user(host)
    door.parent.mkdir(parents=True, exist_ok=True)
    door.unlink(missing_ok=True)
    words = ["ssh", *OPTIONS, *_NO_SESSION, "-L", f"{door}:{_BUS}", "--", host]
    # it would stay for ever where this process is killed
    alone = ["setpriv", "--pdeathsig=KILL", "--", *words]
    try:
        with command.spawn(alone, stdout=command.DEVNULL, stderr=command.PIPE) as process:
            assert process.stderr is not None
            told = command.StderrTail(process.stderr)
            limit = clock.monotonic() + SECONDS
            while not door.exists():
                if process.poll() is not None:
                    raise _failed(words, f"exit {process.returncode}", told.text())
                if clock.monotonic() > limit:
                    command.kill_group(process)
                    raise _failed(words, f"no end after {SECONDS:.0f} s", told.text())
                clock.sleep(_LOOK_SECONDS)
            may = True if user == "root" else None
            answer = _ask(door)  # also of root: what the server says of the key has come before the answer
            command.kill_group(process)
            return Login(user, _is_forced(told.text()), may or answer)
    finally:
        door.unlink(missing_ok=True)


def _user(host: str) -> str:
    """Return as whom ssh would log in there."""
    lines = command.run(["ssh", *OPTIONS, "-G", "--", host], timeout=SECONDS).text.splitlines()
    return next((line.removeprefix("user ") for line in lines if line.startswith("user ")), "")


def _ask(door: Path) -> bool | None:
    asked = ["busctl", f"--address=unix:path={door}", "call", *_MAY_SWITCH_OFF]
    try:
        answer = command.run(asked, ok=range(256), timeout=SECONDS).text.strip()
    except CommandFailed:
        return None
    return {'s "yes"': True, 's "no"': False, 's "challenge"': False, 's "na"': False}.get(answer)


def _is_forced(told: str) -> bool:
    """Given what ssh said, return whether the server said that the key has a command of its own."""
    options = (line.partition(" key options: ") for line in told.splitlines() if line.startswith("debug1: Remote: "))
    return any("command" in words.split() for _, _, words in options)


def _failed(words: Sequence[str], status: str, told: str) -> CommandFailed:
    lines = [line.strip() for line in told.splitlines() if line.strip() and not line.startswith(_CHATTER)]
    said = lines[-1][:500] if lines else "it said nothing"
    line = command.replayable([word for word in words if word != "-v"])
    return CommandFailed(program="ssh", status=status, detail=said, line=line)
