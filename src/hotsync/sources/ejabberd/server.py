"""An ejabberd server: what its control file says, whether it runs, and its control program."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.processes import running
from hotsync.sources.source import Context, Dataset
from hotsync.system.command import ENVIRONMENT, Completed, run

NAME: str = "ejabberd"
INSTANCE = "ejabberd"
UNIT = "ejabberd.service"
CONTROL = "ejabberdctl"
PRIVATE = ".hotsync"
ACCOUNT = "ejabberd"
_PROGRAMS = ("beam.smp", "beam")
_CONFIG = "/etc/ejabberd"
_CONTROL_NAME = "ejabberdctl.cfg"
CONTROL_FILE = f"etc/ejabberd/{_CONTROL_NAME}"
"""The control file of a server, below a root."""
_NODE, _FOLDER = "ejabberd@localhost", "/var/lib/ejabberd"
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Z_]+)=[\"']?([^\"'#\s]*)", re.MULTILINE)
_VERSION = re.compile(r"ejabberd (\d+\.\d+)\S* is running")
_WRITES = re.compile(r"\{transaction_log_writes,(\d+)\}")
_OF_MNESIA = ("*.DAT", "*.DCD", "*.DCL", "*.LOG", "*.TMP", "*.RET", "FALLBACK.BUP", PRIVATE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the control file says: the name of the node, and where its database lies."""

    node: str
    folder: str


def read_settings(config: str) -> Settings:
    """Given the folder of the configuration, return what its control file says; what it does not say is usual."""
    text = ""
    with suppress(FileNotFoundError):
        text = Path(config, _CONTROL_NAME).read_text("utf-8", "surrogateescape")
    return parse_settings(text)


def parse_settings(text: str) -> Settings:
    """Given the text of a control file, return what it says; what it does not say is usual."""
    said = dict(_ASSIGNMENT.findall(text))
    return Settings(said.get("ERLANG_NODE") or _NODE, said.get("SPOOL_DIR") or _FOLDER)


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its server, also one that is enabled and does not run."""
    config = context.paths.at(_CONFIG)
    if shutil.which(CONTROL, path=ENVIRONMENT["PATH"]) is None or not config.is_dir():
        return ()
    settings = read_settings(str(config))
    directories = tuple(f"{settings.folder}/{name}" for name in _OF_MNESIA)
    collected = (context.paths.spool / NAME / INSTANCE).is_dir()
    if runs(settings.node):
        return (Dataset(NAME, INSTANCE, unit=UNIT, config=str(config), directories=directories),)
    if _is_enabled():
        return (
            Dataset(NAME, INSTANCE, unit=UNIT, fault=f"{UNIT} is enabled and does not run", directories=directories),
        )
    return (Dataset(NAME, INSTANCE, unit=UNIT, parked=True, directories=directories),) if collected else ()


def moment_of(config: str, node: str) -> str:
    """Return a word that stays the same while nothing is written to the database of a running server.

    It is the run of the server, and how many writes to disk Mnesia has counted in it; "" where that is not told.
    Raise CommandFailed if the server does not answer.
    """
    counted = _WRITES.search(control(config, "mnesia_info", ok=range(256)).text)
    runs_since = [process.started for process in running(_PROGRAMS) if node in process.words]
    return f"{runs_since[0]} {counted[1]}" if counted and len(runs_since) == 1 else ""


def runs(node: str) -> bool:
    """Return whether a node of this name runs on this host."""
    return any(node in process.words for process in running(_PROGRAMS))


def _is_enabled() -> bool:
    try:
        return run(("systemctl", "is-enabled", UNIT), ok=range(256)).text.startswith("enabled")
    except CommandFailed:
        return False  # a host without systemd


def control(config: str, *words: str, timeout: float = 120.0, ok: Sequence[int] = (0,)) -> Completed:
    """Given words for the control program, return what it answered; raise CommandFailed."""
    return run((CONTROL, "--config-dir", config, "--no-timeout", *words), timeout=timeout, ok=ok, cwd="/")


def ask_version(config: str) -> str:
    """Return the version of the running server; raise CommandFailed if it does not run."""
    answer = control(config, "status")
    found = _VERSION.search(answer.text + answer.errors)
    return found[1] if found else ""


def installed_version() -> str:
    """Return the version that is installed here, "" if none is: a folder with its programs bears it in its name."""
    for library in ("/usr/lib", *(str(path) for path in Path("/usr/lib").glob("*-linux-gnu"))):
        for folder in sorted(Path(library).glob("ejabberd-*"), reverse=True):
            if os.path.isdir(folder / "ebin"):
                found = re.match(r"ejabberd-(\d+\.\d+)", folder.name)
                return found[1] if found else ""
    return ""


def detail(error: CommandFailed) -> str:
    """Given what the control program said, return it in one line for people."""
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip() and not line.startswith("=")]
    return f"{Path(str(error.facts['program'])).name}: {(lines or [str(error.facts['detail'])])[0][:500]}"
