"""200 people whose numbers differ between the two servers: after a promotion no permission is another one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from lab import Host, Lab
from tests.lab.conftest import paired_lab, sync
from tests.lab.production import promote

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

PEOPLE = 200
FIRST = {"master": 3000, "slave": 3100}
"""Half of the numbers mean one person on one server and another one on the other."""
SHARED, OWN = "/srv/shared", "/var/lib/machine-own"
LOOK = (
    "cd {folder} && find . -printf '%p %M %u %g\\n' | LC_ALL=C sort && "
    "find . -not -type l -print0 | LC_ALL=C sort -z | xargs -0 getfacl -p --"
)
"""Names, not numbers: whoever is meant on one server must be meant on the other."""


def person(number: int) -> str:
    return f"person{number:03}"


def team(number: int) -> str:
    return f"team{number:03}"


def make_accounts(host: Host, dice: random.Random) -> None:
    """The same people and teams on both servers, each with a number that the server alone gave it."""
    numbers = dice.sample(range(PEOPLE), PEOPLE)
    first = FIRST[host.name]
    teams = "".join(f"{team(n)}:x:{first + numbers[n]}:{person((n + 1) % PEOPLE)}\n" for n in range(PEOPLE))
    people = "".join(
        f"{person(n)}:x:{first + numbers[-1 - n]}:{first + numbers[n]}::/home/{person(n)}:/bin/sh\n"
        for n in range(PEOPLE)
    )
    host.run("cat >>/etc/group", input=teams)
    host.run("cat >>/etc/passwd", input=people)
    host.run("pwconv && grpconv && sync")


def make_tree(host: Host, folder: str, dice: random.Random) -> None:
    """Folders and files of everybody, with access lists that name others, and inherited ones."""
    lines = ["set -e", f"mkdir -p {folder}; cd {folder}"]
    for n in range(PEOPLE):
        others, teams = dice.sample(range(PEOPLE), 3), dice.sample(range(PEOPLE), 2)
        lines += [
            f"mkdir {n}; echo {n} >{n}/file; echo {n} >{n}/secret; ln -s file {n}/link",
            f"chown -h {person(n)}:{team(others[0])} {n} {n}/file {n}/secret {n}/link",
            f"chmod 2750 {n}; chmod 640 {n}/file; chmod 600 {n}/secret",
            f"setfacl -m u:{person(others[1])}:rw,g:{team(teams[0])}:r {n}/file",
            f"setfacl -m u:{person(others[1])}:x,d:u:{person(others[2])}:rwX,d:g:{team(teams[1])}:rX {n}",
        ]
    host.run(["bash", "-s"], input="\n".join(lines))


def look(host: Host, folder: str) -> list[str]:
    return host.run(LOOK.format(folder=folder)).stdout.splitlines()


def may_read(host: Host, names: list[str], files: list[str]) -> list[str]:
    """Return what the kernel says: each of the names with each of the files that it may read."""
    ask = "for file in {files}; do test -r $file && echo {name} $file; done; true"
    lines = [f"runuser -u {name} -- sh -c '{ask.format(name=name, files=' '.join(files))}'" for name in names]
    return host.run(["bash", "-s"], input="\n".join([f"cd {SHARED}", *lines])).stdout.splitlines()


@pytest.fixture
def crowded(dice: random.Random) -> Iterator[Lab]:
    """A MASTER and a SLAVE with the same people by other numbers; each has files of theirs."""
    with paired_lab("crowd") as lab:
        for host in lab.hosts:
            make_accounts(host, dice)
        make_tree(lab.master, SHARED, dice)
        make_tree(lab.slave, OWN, dice)
        yield lab


@pytest.mark.full
def test_nobody_may_more_or_less_than_before(crowded: Lab, dice: random.Random) -> None:
    master, slave = crowded.master, crowded.slave
    meant, own = look(master, SHARED), look(slave, OWN)
    assert len([line for line in meant if "user:person" in line]) >= 2 * PEOPLE
    names = [person(n) for n in dice.sample(range(PEOPLE), 25)]
    files = [f"{n}/{name}" for n in dice.sample(range(PEOPLE), 40) for name in ("file", "secret")]
    allowed = may_read(master, names, files)
    assert 0 < len(allowed) < len(names) * len(files)
    assert sync(crowded)["exit_code"] in (0, 1)
    done = slave.run(["hotsync-slave"], check=False, timeout=900)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert look(slave, OWN) == own, "the SLAVE's own files follow their owners to their new numbers"
    master.kill()
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    assert look(slave, SHARED) == meant
    assert look(slave, OWN) == own
    assert may_read(slave, names, files) == allowed
