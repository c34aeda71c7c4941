"""docs/settings.md: every setting, from the code that reads it."""

from __future__ import annotations

from docs.generators import table
from hotsync.config.schema import PROPS

PATH = "docs/settings.md"

INTRODUCTION = """# Settings

All settings are props of records in the configuration database. They are read with `config show hotsync`, set with
`config setprop RECORD PROP VALUE`, and come into force with

    signal-event nethserver-hotsync-save

which first checks all of them: every fault is named with its prop and a command that puts it right, and nothing is
changed until there is none. A prop that is missing or empty has its default. A wrong value can be stored; until it is
corrected the commands refuse to work (exit 2) and say why.

"""

REMARKS = """
## What the save does

* It sets the role of a server that is not paired yet. The role of a paired server never changes here:
  `hotsync-promote` changes it, and writes the prop. A prop `role` that differs from what the
  server is makes the save refuse.
* It writes the two intervals for systemd's timers and starts the daemon and the timer of the role, or with
  `status disabled` stops them. With `status disabled` nothing needs to be complete: switching off always works.
* It never touches the replica, its history, or what was collected.

A `|` in a value is shown by `config` as `\\|`; it is the `|` that you typed. A value cannot end in a backslash.
The records `rsyncd` and `stunnel` are there as in the original; of them only `rsyncd password` is read.
"""


def render() -> str:
    """Return the page."""
    rows = [
        (
            f"`{row.record}`",
            f"`{row.name}`",
            f"`{row.default}`" if row.default else "empty",
            row.meaning,
            row.unit,
            row.kind.allowed,
        )
        for row in PROPS
    ]
    head = ("record", "prop", "default", "meaning", "unit", "allowed")
    return INTRODUCTION + table(head, rows) + REMARKS
