"""The story of the demo: two servers are set up by the manual, work goes on, the MASTER dies, the SLAVE takes over."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from demo import services
from lab import Host, Lab
from lab.client import Client

PROJECT = Path(__file__).resolve().parent.parent
PAIR_PASSWORD = "correct-horse-battery"
MASTER_ADDRESS, SLAVE_ADDRESS = "10.77.0.1", "10.77.0.2"


@dataclass
class Table:
    """What was measured and whether it held."""

    rows: list[tuple[str, str, bool]] = field(default_factory=list)

    def measured(self, what: str, value: str) -> None:
        """Note a figure."""
        self.rows.append((what, value, True))

    def check(self, what: str, held: bool, detail: str = "") -> None:
        """Note whether something held."""
        self.rows.append((what, ("yes" if held else "NO") + (f"  ({detail})" if detail else ""), held))

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return all(row[2] for row in self.rows)

    def show(self) -> None:
        """Print the table."""
        width = max(len(row[0]) for row in self.rows)
        print()
        for what, value, _ in self.rows:
            print(f"  {what:<{width}}  {value}")
        failed = sum(not row[2] for row in self.rows)
        print(f"\n  {'every check held' if not failed else f'{failed} checks did not hold'}\n", flush=True)


def say(line: str) -> None:
    """Tell the onlooker what happens now."""
    print(f"\n== {line}", flush=True)


def user(client: Client, *words: str) -> object:
    """Do something from a desk; return what was found."""
    done = client.run([PROJECT / ".venv/bin/python", "-m", "demo.users", *words], env={"PYTHONPATH": str(PROJECT)})
    return json.loads(done.stdout)


def configure(host: Host, role: str, peer_prop: str, peer: str) -> None:
    """The manual's configuration, word for word."""
    host.run(["config", "setprop", "rsyncd", "password", PAIR_PASSWORD])
    host.run(["config", "setprop", "hotsync", "role", role])
    host.run(["config", "setprop", "hotsync", peer_prop, peer])
    host.run(["signal-event", "nethserver-hotsync-save"])


def shown(host: Host, command: list[str], *, ok: tuple[int, ...] = (0,)) -> float:
    """Run a command of HotSync as an administrator would, show what it says, and return how long it took."""
    print(f"[root@{host.name}]# {' '.join(command)}", flush=True)
    started = time.monotonic()
    done = host.run(["sh", "-c", 'exec "$@" 2>&1', "sh", *command], check=False, timeout=900)
    took = time.monotonic() - started
    print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    if done.returncode not in ok:
        raise SystemExit(f"{' '.join(command)} on {host.name} ended with {done.returncode}")
    return took


def look_until_all_answer(client: Client, seconds: float) -> object:
    """Use every service, again and again while one does not answer, for at most so long: people try again too."""
    end = time.monotonic() + seconds
    while True:
        found = user(client, "look")
        assert isinstance(found, dict)
        if time.monotonic() > end or not any("error" in answer for answer in found.values()):
            return found
        time.sleep(0.5)


def mornings_work(client: Client) -> None:
    """What the people did before the first synchronization."""
    for number in range(20):
        user(client, "mail", "anna", "bruno", f"first {number:02}")
    user(client, "put", "anna", "plan.txt", "the plan\n")
    user(client, "put", "bruno", "budget.txt", "1000\n")
    user(client, "share", "anna", "setmode plan.txt +h")


def afternoons_work(client: Client, master: Host) -> None:
    """What they did between the first and the second one."""
    for number in range(10):
        user(client, "mail", "bruno", "carla", f"second {number:02}")
    user(client, "put", "bruno", "budget.txt", "2000\n")
    user(client, "put", "anna", "minutes.txt", "all agreed\n")
    master.write("/var/www/html/news/index.html", "<p>news of the afternoon</p>\n")


def tell(lab: Lab, table: Table) -> None:
    """The whole day."""
    master, slave, client = lab.master, lab.slave, lab.client
    say("The MASTER gets its services and people")
    services.set_up(master)
    services.set_check_account(slave)
    mornings_work(client)
    log = Path(f"/run/hotsync-lab/{lab.name}/work.log")
    worker = client.spawn(
        ["env", f"PYTHONPATH={PROJECT}", str(PROJECT / ".venv/bin/python"), "-m", "demo.users", "work", str(log)],
        stdin=-1,
    )
    try:
        _replicate(lab, table)
        afternoons_work(client, master)
        before = user(client, "look")
        say("Second synchronization, while orders and entries keep coming")
        started = time.time()
        table.measured("second synchronization", f"{shown(master, ['hotsync']):.1f} s")
        finished = time.time()
        shown(slave, ["hotsync-slave"], ok=(0, 1))
        user(client, "mail", "anna", "carla", "after the last synchronization")
        say("The MASTER dies: power cut")
        master.kill()
        died = time.time()
    finally:
        if worker.stdin:
            worker.stdin.close()
        worker.wait(timeout=60)
    say("The SLAVE is promoted")
    begun = time.monotonic()
    took = shown(slave, ["hotsync-promote", "--yes"], ok=(0, 1))
    after = user(client, "look")
    table.measured("hotsync-promote", f"{took:.1f} s")
    table.measured("from the command to the client's last check", f"{time.monotonic() - begun:.1f} s")
    table.measured("age of the data when the MASTER died", f"{died - started:.1f} s")
    _compare(table, "after the promotion", before, after, log, started, finished)
    say("The promoted server is powered off and booted; the old MASTER stays away")
    slave.kill()
    begun = time.monotonic()
    slave.boot()
    status = json.loads(slave.run(["hotsync", "status", "--json"], check=False).stdout)
    table.check("it is MASTER after a boot", status["role"] == "master", f"epoch {status['epoch']}")
    again = look_until_all_answer(client, 60)
    table.measured("from power on to the client's last check", f"{time.monotonic() - begun:.1f} s")
    _compare(table, "after a boot", before, again, log, started, finished)
    shown(slave, ["hotsync", "status"], ok=(0, 1))


def _replicate(lab: Lab, table: Table) -> None:
    say("Both are configured as the manual has it")
    configure(lab.master, "master", "SlaveHost", SLAVE_ADDRESS)
    configure(lab.slave, "slave", "MasterHost", MASTER_ADDRESS)
    say("First synchronization")
    table.measured("first synchronization", f"{shown(lab.master, ['hotsync']):.1f} s")
    table.measured("first hotsync-slave (packages)", f"{shown(lab.slave, ['hotsync-slave'], ok=(0, 1)):.1f} s")


def _compare(
    table: Table, when: str, before: object, after: object, log: Path, started: float, finished: float
) -> None:
    """Hold what the client finds against what was there at the last generation."""
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    for name, answer in after.items():
        if "error" in answer:
            table.check(f"{when}: {name}", False, answer["error"])
        elif name.startswith(("orders", "entries")):
            table.check(f"{when}: {name}", *_is_a_prefix(answer["found"], log, name, started, finished))
        else:
            same = answer["found"] == before[name]["found"]
            table.check(f"{when}: {name}", same, _size(answer["found"]) if same else f"found {answer['found']!r}"[:300])


def _is_a_prefix(found: list[int], log: Path, name: str, started: float, finished: float) -> tuple[bool, str]:
    """Rows must be 1..n without a gap; n lies between what was acknowledged before and after the last collection."""
    word = "order" if name.startswith("orders") else "entry"
    notes = [line.split() for line in log.read_text().splitlines()]
    acknowledged = [(int(number), float(at)) for what, number, at in notes if what == word]
    least = max((number for number, at in acknowledged if at < started), default=0)
    most = max((number for number, at in acknowledged if at < finished), default=0) + 1
    held = found == list(range(1, len(found) + 1)) and least <= len(found) <= most
    lost = acknowledged[-1][0] - len(found) if acknowledged else 0
    return held, f"{len(found)} rows without a gap, {lost} newer ones lost with the MASTER"


def _size(found: object) -> str:
    if isinstance(found, dict) and all(isinstance(value, list) for value in found.values()):
        return f"{sum(map(len, found.values()))} exactly"
    return f"{len(found)} exactly" if isinstance(found, list | dict) else "exactly"


def main() -> None:
    """Tell the story in a lab of its own and leave with 0 only if every check held."""
    parser = argparse.ArgumentParser(description="Show the main job of HotSync on real services.")
    parser.add_argument("--fs", choices=["ext4", "xfs", "btrfs"], default="ext4")
    parser.add_argument("--network", choices=["ifupdown", "networkd"], default="ifupdown")
    parser.add_argument("--keep", action="store_true", help="leave the lab up at the end")
    options = parser.parse_args()
    table = Table()
    Lab.take_away("demo")
    lab = Lab.up(name="demo", fs=options.fs, network=options.network)
    try:
        tell(lab, table)
    except SystemExit as error:
        table.check(str(error), False)
    finally:
        if not options.keep:
            lab.down()
    table.show()
    sys.exit(0 if table.held else 1)


if __name__ == "__main__":
    main()
