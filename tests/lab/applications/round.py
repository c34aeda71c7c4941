"""One round: a MASTER with applications in use, a SLAVE of other numbers and hardware, a promotion, the same again."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import Host, Lab, image, repository
from lab.command import CommandFailed, LabError
from tests.lab.applications.entries import Application
from tests.lab.conftest import MASTER, configure_pair, sync
from tests.lab.production import promote

CARD = "ens18"
"""The SLAVE's network card, which the MASTER has not; the host itself has it as eth0."""
NICS = f"slave={CARD}:lan"

INSTALL = """
set -eu
export DEBIAN_FRONTEND=noninteractive
debconf-set-selections <<'END'
PRESEED
END
apt-get -q update
apt-get -qy install --no-install-recommends PACKAGES
"""
# the numbers that the packages' accounts take on the MASTER are others' on the SLAVE
OTHER_NUMBERS = """
set -eu
for n in $(seq 1 40); do useradd --system --no-create-home --shell /usr/sbin/nologin "own$n"; done
"""
ACCOUNTS = "/var/lib/lab-accounting"
# from before anything else of a boot: each process that ends is written down by the kernel
ACCOUNTING = f"""
[Unit]
Description=the lab's process accounting
DefaultDependencies=no
After=systemd-remount-fs.service
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -c 'import ctypes; open("{ACCOUNTS}", "ab").close(); \
raise SystemExit(-ctypes.CDLL(None).acct(b"{ACCOUNTS}"))'

[Install]
WantedBy=sysinit.target
"""
RECORD = struct.Struct("=bbHIIIIIIfHHHHHHHH16s")
"""acct_v3 of <linux/acct.h>."""
STARTING = ("7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf")
"""The journal's own numbers of "a unit is being started" and "was started"."""
CLIENTS = Path(__file__).with_name("clients.py")


class RoundFailed(LabError):
    """What went wrong for all applications of a round."""


@dataclass(slots=True)
class Outcome:
    """What became of one application in a round; empty texts are good news."""

    application: Application
    set_up: str = ""
    before: str = ""
    started: list[str] = field(default_factory=list)
    red: list[str] = field(default_factory=list)
    checks: int = 0
    after: str = ""

    @property
    def faults(self) -> list[str]:
        """What was not as it must be."""
        found = [
            (f"its set-up failed: {self.set_up}", self.set_up),
            (f"before: {self.before}", self.before),
            (f"ran on the SLAVE: {', '.join(self.started)}", self.started),
            (f"checks: {'; '.join(self.red)}", self.red),
            (f"after: {self.after}", self.after),
        ]
        return [text for text, bad in found if bad]


def play(name: str, applications: Sequence[Application], *, keep: bool = False) -> list[Outcome]:
    """Try applications together, in a lab of that name; return what became of each. The lab is taken away again, unless
    something is wrong and it is to be kept.

    Raise LabError or RoundFailed for what goes wrong with all of them.
    """
    repository.fetch(_packages(applications), image.bare_status(), recommended=False)
    lab = Lab.up(name=name, bare=True, nics=NICS)
    good = False
    try:
        (lab.client.www / "greeting").write_text("from the web\n")
        count_processes(lab.slave)
        outcomes = set_up(lab, applications)
        make_ready(lab)
        look_for_processes(lab, outcomes)
        take_over(lab, outcomes)
        good = not any(one.faults for one in outcomes)
    finally:
        if good or not keep:
            lab.down()
    return outcomes


def count_processes(slave: Host) -> None:
    """Give a SLAVE accounts with the MASTER's numbers, and let the kernel write down its processes from here on."""
    slave.run(["sh", "-c", OTHER_NUMBERS])
    slave.write("/etc/systemd/system/lab-accounting.service", ACCOUNTING)
    slave.run(["systemctl", "enable", "--now", "lab-accounting.service"])


def set_up(lab: Lab, applications: Sequence[Application]) -> list[Outcome]:
    """Install the applications on the MASTER, give each its data, and let clients use it."""
    preseed = "\n".join(one.preseed.strip() for one in applications)
    script = INSTALL.replace("PRESEED", preseed).replace("PACKAGES", " ".join(_packages(applications)))
    lab.master.run(["bash", "-c", script], timeout=1800)
    outcomes = [Outcome(one) for one in applications]
    for outcome in outcomes:
        try:
            lab.master.run(["bash", "-c", f"set -eu\n{outcome.application.set_up}"], timeout=300)
        except CommandFailed as failure:
            outcome.set_up = str(failure)
    running = _running(lab.master)
    for outcome in outcomes:
        lacking = set(outcome.application.processes) - running
        outcome.before = fault_of(lab, outcome.application)
        if lacking:
            outcome.before += f" its processes are not called {', '.join(sorted(lacking))}"
    return outcomes


def make_ready(lab: Lab) -> None:
    """The manual's way: settings on both, a run of hotsync, hotsync-slave; the SLAVE boots once more."""
    before = _unit_files(lab.slave)
    lab.slave.write("/root/units-before", "\n".join(before))
    configure_pair(lab)
    record = sync(lab)
    if record["exit_code"] not in (0, 1):
        raise RoundFailed(f"the synchronization failed: {record}")
    done = lab.slave.run(["hotsync-slave"], check=False, timeout=1800)
    if done.returncode not in (0, 1):
        raise RoundFailed(f"hotsync-slave failed: {done.stdout}{done.stderr}")
    lab.slave.stop()
    lab.slave.boot()


def look_for_processes(lab: Lab, outcomes: Sequence[Outcome]) -> None:
    """Note which application ran on the SLAVE; raise RoundFailed if a unit of a package that none named was started.

    Three witnesses: the journal of systemd, the kernel's records of processes that ended, those that run now.
    """
    known = set(lab.slave.read("/root/units-before").split())
    new = set(_unit_files(lab.slave)) - known
    started = {unit for unit in _started(lab.slave) if unit in new or _template(unit) in new}
    started = {unit for unit in started if not unit.endswith(".target")}  # what runs nothing
    ended, running = _ended(lab.slave), _running(lab.slave)
    boots = len(lab.slave.run(["journalctl", "--list-boots", "--no-pager"]).stdout.splitlines())
    if "hotsyncd" not in ended or boots < 2:  # the witnesses must have seen what happened for certain
        raise RoundFailed(f"the witnesses slept: {boots} boots in the journal, {len(ended)} names of processes")
    for outcome in outcomes:
        about = outcome.application
        names = set(about.processes)
        here = names & running if not about.stays else set()
        outcome.started = sorted(
            here | (names - set(about.runs_at_install) - (names if about.stays else set())) & ended
        )
    allowed = {unit for outcome in outcomes for unit in outcome.application.stays}
    for unit in sorted(started - allowed):
        owner = lab.slave.run(["dpkg", "-S", f"*/{unit}", f"/etc/init.d/{unit.removesuffix('.service')}"], check=False)
        packages = {line.partition(":")[0] for line in owner.stdout.splitlines()}
        whose = [outcome for outcome in outcomes if not packages.isdisjoint(outcome.application.packages)]
        if not whose:
            raise RoundFailed(f"the SLAVE started {unit} of {', '.join(packages) or 'no package'}")
        whose[0].started.append(unit)


def take_over(lab: Lab, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The MASTER dies; the SLAVE is promoted on its own network, given the address by hand, and asked."""
    lab.master.kill()
    code, document, said = promote(lab.slave, "--network", "3")
    if code not in (0, 1):
        raise RoundFailed(f"the promotion failed: {code} {document} {said}")
    lab.slave.run(["ip", "address", "add", f"{MASTER}/24", "dev", CARD])
    for outcome in outcomes:
        mine = [check for check in document["checks"] if check["name"].startswith(f"{outcome.application.profile}.")]
        outcome.checks = len(mine)
        outcome.red = [f"{one['title']}: {one.get('detail', '')}" for one in mine if one["verdict"] != "green"]
        outcome.after = fault_of(lab, outcome.application)
    return document


ANSWER_SECONDS = 120


def fault_of(lab: Lab, application: Application) -> str:
    """Ask an application at the MASTER's address; return what is wrong with its answer, or nothing."""
    if application.asked_on == "client":
        words = f'client() {{ /usr/bin/python3 -I {CLIENTS} "$@"; }}\n'
        seat: Any = lab.client
    else:
        words = 'client() { /usr/bin/python3 -I /run/clients.py "$@"; }\n'
        seat = lab.master if lab.master.on else lab.slave
        seat.write("/run/clients.py", CLIENTS.read_bytes())
    words += 'dns() { client dns "$@"; }\nntp() { client ntp "$@"; }\nsay() { client say "$@"; }\n'
    question = ["bash", "-c", f"{words}{application.question}"]
    try:
        done = seat.run(question, check=False, timeout=ANSWER_SECONDS, env={"SERVER": MASTER})
    except subprocess.TimeoutExpired:
        return f"gave no answer within {ANSWER_SECONDS} seconds"
    answer = done.stdout.strip()
    if answer == application.answer.strip():
        return ""
    last = done.stderr.strip().rpartition("\n")[2]  # a client that tries again says the same each time
    return f"answered {answer!r}, not {application.answer.strip()!r} {last}".strip()


def _packages(applications: Iterable[Application]) -> list[str]:
    return sorted({package for one in applications for package in one.packages})


def _running(host: Host) -> set[str]:
    return set(host.run(["ps", "-eo", "comm="]).stdout.split())


def _unit_files(host: Host) -> list[str]:
    """The units that packages brought, with those that systemd makes of old start scripts."""
    return host.run("{ ls /usr/lib/systemd/system; ls /etc/init.d | sed 's/$/.service/'; } | sort -u").stdout.split()


def _template(unit: str) -> str:
    name, at, rest = unit.partition("@")
    return f"{name}@.{rest.rpartition('.')[2]}" if at else unit


def _started(host: Host) -> set[str]:
    """The units that systemd says it started since the host's first boot."""
    matches = [f"MESSAGE_ID={number}" for number in STARTING]
    lines = host.run(["journalctl", "-o", "json", "--no-pager", "--output-fields=UNIT,MESSAGE", *matches]).stdout
    told = [json.loads(line) for line in lines.splitlines()]
    # the job that ends because a condition did not hold has the same number as one that started its unit
    return {one["UNIT"] for one in told if "UNIT" in one and " was skipped because of " not in str(one["MESSAGE"])}


def _ended(host: Host) -> set[str]:
    """The names of all processes that the kernel saw ending as children of the init system, as every service is.

    Others of such a name are a package's scripts (`proftpd --configtest`), or somebody who asks for a version.
    """
    records = host.read_bytes(ACCOUNTS)
    whole = len(records) - len(records) % RECORD.size
    found: set[str] = set()
    for *_, parent, _began, _took, _a, _b, _c, _d, _e, _f, _g, _h, name in RECORD.iter_unpack(records[:whole]):
        if parent == 1:
            found.add(name.split(b"\0")[0].decode())
    return found
