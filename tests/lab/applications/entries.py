"""What is known of each application: one TOML file each, named as its profile."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

DATA = Path(__file__).resolve().parent / "data"


class Application(BaseModel):
    """How one application is tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str
    """The profile that is tried by it."""
    packages: tuple[str, ...]
    """What is installed on the MASTER, without what is only recommended."""
    preseed: str = ""
    """Answers to the questions of the packages."""
    set_up: str
    """A script that gives it configuration and data on the MASTER; the application serves when it ends."""
    question: str
    """A line of shell, with the words of `clients.py`; `$SERVER` is the MASTER's address, whoever has it."""
    answer: str
    """What the question must print, without blanks around it."""
    asked_on: str = "client"
    """Who asks: `client`, or `server` where the client's machine has no program for it."""
    processes: tuple[str, ...] = ()
    """Names (as `ps -o comm` shows them) that run on the MASTER and must never have run on the waiting SLAVE."""
    runs_at_install: tuple[str, ...] = ()
    """Those of them that the package's own scripts or HotSync's loading of dumps start for a moment."""
    stays: tuple[str, ...] = ()
    """Units that belong to the machine and may run on the SLAVE, as the profile says."""
    ports: tuple[str, ...] = ()
    """What only one application at a time can have: two that share one are tried in two groups."""


def applications() -> tuple[Application, ...]:
    """Return all applications, by name."""
    return tuple(_read(file) for file in sorted(DATA.glob("*.toml")))


def _read(file: Path) -> Application:
    return Application.model_validate({"profile": file.stem, **tomllib.loads(file.read_text())})


def groups(of: Iterable[Application], size: int) -> list[list[Application]]:
    """Given applications, return them in as few groups as the order allows: none larger than that, no port twice."""
    found: list[list[Application]] = []
    for one in of:
        room = (group for group in found if len(group) < size and not shared(group, one))
        group = next(room, None)
        if group is None:
            found.append([one])
        else:
            group.append(one)
    return found


def shared(group: Sequence[Application], one: Application) -> set[str]:
    """Given a group and one more, return the ports that two would want."""
    return {port for other in group for port in other.ports}.intersection(one.ports)
