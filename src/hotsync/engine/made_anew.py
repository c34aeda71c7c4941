"""What is made anew from files that were carried, by the programs of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system import command

MADE_ANEW = (("/sbin/ldconfig", ("ldconfig",)), ("/usr/bin/newaliases", ("newaliases",)))
"""A program that makes something from files that were carried, where it is installed, and how to call it."""


def make_anew(say: Callable[[str], None]) -> None:
    """Run each program that is installed here; one that fails is told and stops nothing."""
    for program, argv in MADE_ANEW:
        if Path(program).exists():
            try:
                command.run(list(argv))
            except CommandFailed as error:
                say(error.sentence)
