"""`script/applications`: the full round over all applications, in groups; its results go to docs/applications.json."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from lab.command import LabError
from tests.lab.applications.entries import Application, applications, groups
from tests.lab.applications.round import Outcome, play

RESULT = Path(__file__).resolve().parents[3] / "docs/applications.json"


def main() -> int:
    """Try what is named, or all; tell each fault, and write down what came of each; return 0 if there was no fault."""
    parser = argparse.ArgumentParser(prog="script/applications", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="APPLICATION", help="only these, together (default: all)")
    parser.add_argument("--size", type=int, default=40, help="how many on one MASTER at most (default: 40)")
    parser.add_argument("--keep", action="store_true", help="leave a lab in which something was wrong, to look at it")
    options = parser.parse_args()
    known = {one.profile: one for one in applications()}
    if strangers := set(options.names) - known.keys():
        parser.error(f"unknown: {', '.join(sorted(strangers))}; there is: {', '.join(known)}")
    chosen = [known[name] for name in options.names] or list(known.values())
    faulty = 0
    for number, group in enumerate(groups(chosen, options.size)):
        rows = _rows(f"apps-{os.getpid()}-{number}", group, options.keep)
        _write_down(rows)
        for row in rows:
            print(f"{row['application']}: {row['remark'] or 'as it must be'}", flush=True)
            faulty += bool(row["remark"])
    return 1 if faulty else 0


def _write_down(rows: Sequence[dict[str, object]]) -> None:
    """Replace what is known of these applications; what was not tried keeps its last result."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    about = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "together": len(rows)}
    known |= {str(row["application"]): {**row, **about} for row in rows}
    still = {one.profile for one in applications()}
    kept = {name: row for name, row in sorted(known.items()) if name in still}
    RESULT.write_text(json.dumps(kept, indent=1) + "\n")


def _rows(name: str, group: Sequence[Application], keep: bool) -> list[dict[str, object]]:
    print(f"together, in the lab {name}: {', '.join(one.profile for one in group)}", flush=True)
    try:
        return [_row(one) for one in play(name, group, keep=keep)]
    except (LabError, AssertionError) as error:
        traceback.print_exc()
        return [
            {"application": one.profile, "packages": list(one.packages), "remark": f"its group: {error}"[:300]}
            for one in group
        ]


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "application": outcome.application.profile,
        "packages": list(outcome.application.packages),
        "used before": not outcome.set_up and not outcome.before,
        "silent on the SLAVE": not outcome.started,
        "checks": outcome.checks,
        "green": outcome.checks - len(outcome.red),
        "used after": not outcome.after,
        "remark": "; ".join(outcome.faults),
    }


if __name__ == "__main__":
    sys.exit(main())
