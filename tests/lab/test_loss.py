"""The loss statement is true: what a dead MASTER took with it is what the promotion named, or was done after it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from datetime import datetime
from pathlib import Path
from subprocess import PIPE

import pytest

from lab import Host, Lab
from tests.lab.conftest import save_settings, status, sync, wait_for
from tests.lab.production import promote

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1800)]

SECONDS = 10
"""WatchSeconds in this test."""
ROOTS = ("srv/share", "home/anna", "var/www/html")
# makes, changes and takes away files for ever, each safe on the disk; what is worked on is told before and after
WORK = """
import os, random, sys, time
roots, dice = sys.argv[2:], random.Random(sys.argv[1])
made = []
def safe(place):
    handle = os.open(place, os.O_RDONLY); os.fsync(handle); os.close(handle)
for number in range(10**9):
    root = dice.choice(roots)
    path = dice.choice(made) if made and dice.random() < 0.5 else f"/{root}/work-{number}"
    print(time.time(), path, flush=True)
    if path in made and dice.random() < 0.4:
        made.remove(path); os.unlink(path)
    else:
        with open(path, "a") as file: file.write(f"{number}\\n" * dice.randrange(1, 200))
        safe(path)
        if path not in made: made.append(path)
    safe(os.path.dirname(path))
    print(time.time(), path, flush=True)
    time.sleep(dice.uniform(0, 0.3))
"""

# is the statement of the SLAVE's status one against this generation, with something in it?
_NEWER = (
    'import json, sys; loss = json.load(sys.stdin)["loss"]; '
    'sys.exit(not (loss and loss["generation"] == int(sys.argv[1]) and loss["files"]))'
)


def truly_lost(old: Host, new: Host) -> set[str]:
    """Return what an rsync of its own finds to differ between the dead MASTER's disk and the server in its place."""
    found: set[str] = set()
    with old.mounted() as before, new.mounted() as after:
        for root in ROOTS:
            argv = ["rsync", "-naicHAX", "--delete", f"{before / root}/", f"{after / root}/"]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            for line in done.stdout.splitlines():
                name = line.partition(" ")[2].strip()
                # of the others some are the new server's own by now: its mail server keeps an index of what it finds
                if os.path.basename(name).startswith("work-"):
                    found.add(f"{root}/{name}")
    return found


def last_done(told: Path) -> dict[str, float]:
    """Return when each path was worked on last, as far as that was told whole."""
    moments: dict[str, float] = {}
    for line in told.read_text().splitlines(keepends=True):
        moment, _, path = line.partition(" ")
        if line.endswith("\n"):
            moments[path.strip().lstrip("/")] = float(moment)
    return moments


def test_what_is_lost_was_named_or_done_after_the_stated_second(
    alive: Lab, dice: random.Random, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master, slave = alive.master, alive.slave
    master.run(["config", "setprop", "hotsync", "WatchSeconds", str(SECONDS)])
    save_settings(master)
    master.write("/run/work.py", WORK.encode())
    told = tmp_path / "told"
    program = ["python3", "/run/work.py", str(dice.random()), *ROOTS]
    with told.open("wb") as out, master.spawn(program, stdout=out, stderr=PIPE) as working:
        time.sleep(3)
        record = sync(alive)
        assert record["exit_code"] in (0, 1), record
        generation = record["generation"]
        wait_for(slave, f"hotsync status --json | python3 -c '{_NEWER}' {generation}", 120)
        time.sleep(dice.uniform(0, 2 * SECONDS))
        struck = time.time()
        master.kill()
        died = time.time()
        working.wait(timeout=60)
    said = status(slave)["loss"]
    code, document, text = promote(slave, "--network", "1")
    assert code in (0, 1), (document, text)
    loss = document["loss"]
    assert {key: said[key] for key in loss} == loss, "the promotion tells what the status told"
    known = datetime.fromisoformat(loss["known_until"]).timestamp()
    assert struck - known <= SECONDS + 5
    assert known <= died

    master.boot()
    wait_for(master, "hotsync status | grep -q HELD", 120)
    lost = truly_lost(master, slave)
    done = last_done(told)
    later = {path for path, moment in done.items() if moment > known - 1}
    mine = {
        each["path"]: each["fate"] for each in loss["paths"]
        if not each["folder"] and each["path"].startswith(ROOTS) and os.path.basename(each["path"]).startswith("work-")
    }  # fmt: skip
    assert lost, "something was lost, or this test shows nothing"
    assert mine, "something was known, or this test shows nothing"
    assert lost - set(mine) - later == set()
    wrong = {path for path, fate in mine.items() if fate != "perhaps"} - lost - later
    assert wrong == set(), json.dumps({path: (mine[path], done.get(path), known) for path in sorted(wrong)})
    with capsys.disabled():
        print(f"\n{len(lost)} files lost, {len(mine)} of them named, {struck - known:.1f} s before the end")
