"""docs/applications.md: which applications were tried on two booted servers, and what came of it the last time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.generators import table
from docs.generators._untried import UNTRIED
from hotsync.profiles.catalog import shipped

PATH = "docs/applications.md"
RESULT = Path(__file__).resolve().parents[1] / "applications.json"
DATA = Path(__file__).resolve().parents[2] / "tests/lab/applications/data"

WAITING = "Described in `tests/lab/applications/data/`; it waits for its first round."
TEXT = """# Applications, tried for real

    sudo script/applications                 # all, in groups; then script/docs writes this page
    sudo script/applications bind9 squid     # some, together; --keep leaves their lab for a look if something is wrong

For each: its Debian packages are installed on a MASTER with as many others as can live together, it is given
configuration and data, and a client uses it. Then `hotsync`, `hotsync-slave` on a SLAVE with another network card and
with accounts of its own on the numbers that the MASTER's accounts have, and a reboot of that SLAVE. The MASTER dies,
the SLAVE is promoted (`--network 3`, and the MASTER's address by hand, as for different hardware), and the client asks
the same at the same address.

* *used before*, *used after*: the client got the right answer.
* *silent*: none of its processes ran on the waiting SLAVE, by the kernel's accounting of processes that ended, by the
  list of those that run, and by what systemd's journal says it started. Units that belong to the machine (a clock, the
  way in) may run.
* *beside*: how many other applications were on the MASTER.
* *checks*: how many of its profile's checks the promotion asked, and how many were green.

What is asked of each is in `tests/lab/applications/data/`; a new file there is a new application.

## The last result of each

{rows}
## Not tried

Applications whose profile names a package of Debian's or its relatives, and of which no round has a result.

{others}"""


def render() -> str:
    """Return the page."""
    result: dict[str, Any] = json.loads(RESULT.read_text())
    head = ("application", "packages", "used before", "silent", "checks", "used after", "when", "beside", "remark")
    rows = table(head, [_row(row) for row in result.values()])
    return TEXT.format(rows=rows, others=table(("application", "why"), _others(result)))


def _others(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Given the results, return each application without one, and why."""
    waiting = {file.stem: WAITING for file in DATA.glob("*.toml") if file.stem not in result}
    why = {**UNTRIED, **waiting}
    return [(f"{shipped()[name].profile.title} (`{name}`)", why[name]) for name in sorted(why)]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"`{row['application']}`",
        " ".join(row["packages"]),
        *(_word(row.get(key)) for key in ("used before", "silent on the SLAVE")),
        f"{row['green']} of {row['checks']} green" if row.get("checks") else "none",
        _word(row.get("used after")),
        row["date"],
        f"{row['together'] - 1} others",
        " ".join(row["remark"].split()) or "—",
    )


def _word(done: object) -> str:
    return {True: "yes", False: "no"}.get(done, "not tried") if isinstance(done, bool) else "not tried"
