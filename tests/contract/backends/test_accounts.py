"""No permission is wrong after a promotion: two hosts with 200 accounts each, other numbers, and the real tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotsync.backends.account_processes import Owners
from hotsync.backends.accounts import LocalAccounts
from hotsync.backends.renumber_file import acl_entries
from hotsync.model.accounts.merge import FILES, merge_accounts
from hotsync.model.accounts.moves import Account, parse_groups, parse_users, plan_numbers
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

BASE = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
BASE_GROUP = "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n"
SHARED, MASTERS, SLAVES = 150, 50, 50
"""Accounts that both have, and that only one has."""

SEES = """
import json, os, sys
root, accounts, paths = json.load(sys.stdin)
os.chdir(root)
seen = {}
for name, (uid, gid, groups) in accounts.items():
    reading, writing = os.pipe()
    if not os.fork():
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        ways = (os.R_OK, os.W_OK, os.X_OK)
        os.write(writing, "".join(str(sum(way for way in ways if os.access(path, way))) for path in paths).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        seen[name] = stream.read()
    os.wait()
json.dump(seen, sys.stdout)
"""


@dataclass(frozen=True)
class Server:
    """A root of its own."""

    root: Path

    def text(self, name: str) -> str:
        return (self.root / "etc" / name).read_text()

    @property
    def users(self) -> dict[str, Account]:
        return parse_users(self.text("passwd"))

    @property
    def groups(self) -> dict[str, Account]:
        return parse_groups(self.text("group"))

    def tool(self, *argv: str | Path) -> None:
        """Run one of the tools that change accounts on this root."""
        subprocess.run([argv[0], "--prefix", self.root, *argv[1:]], check=True, capture_output=True)

    def who(self) -> tuple[dict[int, str], dict[int, str]]:
        """Return the names of the numbers."""
        return {each.number: each.name for each in self.users.values()}, {
            each.number: each.name for each in self.groups.values()
        }

    def looks(self, folder: str) -> dict[str, object]:
        """Return what a person sees of every path below a folder: names, mode, ACLs by names, capabilities."""
        users, groups = self.who()
        found: dict[str, object] = {}
        for path in sorted((self.root / folder).rglob("*")):
            status = os.lstat(path)
            attributes: dict[str, object] = {}
            for attribute in os.listxattr(path, follow_symlinks=False):
                value = os.getxattr(path, attribute, follow_symlinks=False)
                attributes[attribute] = value
                if attribute.startswith("system.posix_acl"):
                    by_tag = {2: users, 8: groups}
                    entries = [
                        (tag, rights, by_tag.get(tag, {}).get(number)) for _, tag, rights, number in acl_entries(value)
                    ]
                    attributes[attribute] = sorted(entries, key=str)
            found[str(path.relative_to(self.root / folder))] = (
                users.get(status.st_uid), groups.get(status.st_gid), status.st_mode, status.st_nlink, attributes,
            )  # fmt: skip
        return found

    def may(self, folder: str, names: list[str]) -> Mapping[str, str]:
        """Return what the kernel lets each of these users do with every path below a folder."""
        members: dict[str, list[int]] = {}
        for line in self.text("group").splitlines():
            _, _, gid, listed = line.split(":")
            for member in filter(None, listed.split(",")):
                members.setdefault(member, []).append(int(gid))
        users = self.users
        accounts = {name: (users[name].number, users[name].gid, members.get(name, [])) for name in names}
        place = self.root / folder
        paths = sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_symlink())
        done = subprocess.run(
            [sys.executable, "-c", SEES], input=json.dumps([str(place), accounts, paths]), text=True, check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        seen: dict[str, str] = json.loads(done.stdout)
        return seen


def server(root: Path) -> Server:
    for folder in ("etc", "srv", "var/lib/hotsync/replica/tree", "run"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text(BASE)
    (root / "etc/group").write_text(BASE_GROUP)
    (root / "etc/shadow").write_text("root:*:1::::::\ndaemon:*:1::::::\nnobody:*:1::::::\n")
    (root / "etc/gshadow").write_text("root:*::\ndaemon:*::\nnogroup:*::\n")
    (root / "etc/login.defs").write_text("UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\n")
    for name in ("subuid", "subgid"):
        (root / "etc" / name).touch()
    return Server(root)


def add(host: Server, name: str, uid: int, gid: int, *more: str) -> None:
    host.tool("groupadd", "--gid", str(gid), name)
    home = "/nonexistent" if uid < 1000 else f"/home/{name}"
    host.tool("useradd", "--no-create-home", "--uid", str(uid), "--gid", name, "--home-dir", home, *more, name)


def fill(host: Server, folder: str, names: list[str]) -> None:
    """Make a tree in which every account owns files, and is named in ACLs of others' files, for itself and to come."""
    users, groups = host.users, host.groups
    top = host.root / folder
    top.mkdir(parents=True)
    os.chmod(top, 0o755)
    script: list[str] = []
    for place, name in enumerate(names):
        other, third = names[(place + 7) % len(names)], names[(place + 31) % len(names)]
        home = top / name
        home.mkdir()
        for number, mode in enumerate((0o640, 0o600, 0o4750, 0o2755)):
            file = home / f"file{number}"
            file.write_text(name)
            os.chown(file, users[name].number, groups[other if number == 1 else name].number)
            os.chmod(file, mode)
        if place % 10 == 0:
            subprocess.run(["setcap", "cap_net_raw+ep", home / "file3"], check=True)
        os.link(home / "file0", top / f"link-{name}")
        (home / "symlink").symlink_to("file0")
        os.lchown(home / "symlink", users[name].number, groups[name].number)
        os.chown(home, users[name].number, groups[name].number)
        os.chmod(home, 0o2751)
        script += [
            f"# file: {home}/file0", "user::rw-", f"user:{users[other].number}:rw-", "group::r--",
            f"group:{groups[third].number}:r--", "mask::rw-", "other::---", "",
            f"# file: {home}", "user::rwx", "group::r-x", "other::--x", "default:user::rwx",
            f"default:user:{users[third].number}:r-x", "default:group::r-x",
            f"default:group:{groups[other].number}:rwx", "default:mask::rwx", "default:other::---", "",
        ]  # fmt: skip
    subprocess.run(["setfacl", "--restore=-"], input="\n".join(script), text=True, check=True, cwd="/")


class Nobody:
    """No service runs in these roots."""

    def owners(self, uids: frozenset[int], gids: frozenset[int]) -> Owners:
        del uids, gids
        return Owners()

    def call(self, verb: str, units: Sequence[str]) -> None:
        del verb, units


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Server, Server]:
    master, slave = server(tmp_path / "master"), server(tmp_path / "slave")
    # whoever both have is rotated by 37 places here, users and groups apart: cycles, and numbers that others had there
    numbers = [*range(200, 300), *range(1000, 1050)]
    for place in range(SHARED):
        uid, gid = numbers[place], numbers[(place + 3) % SHARED]
        add(master, f"both{place}", uid, gid, "--password", f"$y$master{place}")
        here = numbers[(place // 100 * 100 + (place + 37) % (100 if place < 100 else 50))]
        add(slave, f"both{place}", here, numbers[(place + 90) % SHARED], "--password", f"$y$slave{place}")
    for place in range(MASTERS):
        more = (("--expiredate", "2020-01-01"), ("--password", "!$y$locked"), ("--shell", "/bin/zsh"))[place % 3]
        add(master, f"master{place}", 300 + place if place < 20 else 1100 + place, 400 + place, *more)
    for place in range(SLAVES):
        add(slave, f"slave{place}", 300 + place if place < 20 else 1100 + place, 400 + place, "--password", "$y$own")
    master.tool("groupmod", "--append", "--users", "both1,both2,master3", "both9")
    slave.tool("groupmod", "--append", "--users", "both1,slave3,slave40", "both9")
    return master, slave


def test_after_a_promotion_every_account_may_what_it_might_on_the_master_and_nobody_gets_what_was_anothers(
    pair: tuple[Server, Server],
) -> None:
    master, slave = pair
    both = [f"both{place}" for place in range(SHARED)]
    theirs, ours = [*both, *(f"master{n}" for n in range(MASTERS))], [*both, *(f"slave{n}" for n in range(SLAVES))]
    assert len(theirs) == len(ours) == 200
    fill(master, "srv/masters", theirs)
    fill(slave, "srv/slaves", ours)
    before, might = master.looks("srv/masters"), master.may("srv/masters", theirs)
    own, own_might = slave.looks("srv/slaves"), slave.may("srv/slaves", ours)
    tree = slave.root / "var/lib/hotsync/replica/tree"
    subprocess.run(["cp", "-a", master.root / "srv/masters", tree / "masters"], check=True)

    # the waiting SLAVE
    accounts = LocalAccounts(Paths(slave.root), Nobody())
    plan = plan_numbers(master.users, master.groups, slave.users, slave.groups)
    assert plan.refused == ()
    assert not accounts.apply(plan)
    assert accounts.left == ()
    for name, account in master.users.items():
        assert (slave.users[name].number, slave.users[name].gid) == (account.number, account.gid)
    assert slave.looks("srv/slaves") == own
    assert slave.may("srv/slaves", ours) == own_might
    assert plan_numbers(master.users, master.groups, slave.users, slave.groups).empty
    locked = [line for line in slave.text("shadow").splitlines() if line.startswith("master")]
    assert len(locked) == MASTERS
    assert {line.split(":")[1] for line in locked} == {"!"}

    # a package that comes now takes the account that is there
    (slave.root / "usr/lib/sysusers.d").mkdir(parents=True)
    (slave.root / "usr/lib/sysusers.d/package.conf").write_text("u master5 - -\nu both5 -\n")
    subprocess.run(["systemd-sysusers", f"--root={slave.root}"], check=True, capture_output=True)
    assert slave.users["master5"].number == master.users["master5"].number

    # the promotion: files move by a rename, account files are merged
    os.rename(tree / "masters", slave.root / "srv/masters")
    merged = merge_accounts({name: master.text(name) for name in FILES}, {name: slave.text(name) for name in FILES})
    assert merged.moved == {}
    for name, text in merged.texts.items():
        (slave.root / "etc" / name).write_text(text)
    for name in ("passwd", "shadow"):
        assert slave.text(name).startswith(master.text(name))
    assert slave.looks("srv/masters") == before
    assert slave.may("srv/masters", theirs) == might
    subprocess.run(["pwck", "-rq", slave.root / "etc/passwd", slave.root / "etc/shadow"], check=True)

    # what was the SLAVE's belongs to the same name, or to nobody
    now, people = slave.looks("srv/slaves"), {f"slave{n}" for n in range(20, SLAVES)}
    services = [name for name in ours if name not in people]
    assert not people & slave.users.keys()
    for path, (user, group, *_) in ((path, seen) for path, seen in now.items() if isinstance(seen, tuple)):
        was = own[path]
        assert isinstance(was, tuple)
        assert user == (None if was[0] in people else was[0])
        assert group in (was[1], None)
    assert {name: slave.may("srv/slaves", [name])[name] for name in services[:150:50]} == {
        name: own_might[name] for name in services[:150:50]
    }
    shutil.rmtree(slave.root / "srv")


class CutOnce(Nobody):
    """The power goes as soon as the move is written down."""

    def __init__(self) -> None:
        self.cut = False

    def call(self, verb: str, units: Sequence[str]) -> None:
        super().call(verb, units)
        if not self.cut:
            self.cut = True
            raise KeyboardInterrupt


def test_the_mailer_of_debian_may_write_its_queue_and_its_log_after_a_promotion_also_when_the_move_was_cut(
    tmp_path: Path,
) -> None:
    master, slave = server(tmp_path / "master"), server(tmp_path / "slave")
    add(master, "avahi", 110, 115)
    add(slave, "avahi", 112, 117)
    for host, uid, gid in ((master, 112, 117), (slave, 110, 115)):
        # written by hand: the tools ask for an option that not all of them have
        for name, place in (("Debian-exim", 0), ("Debian-snmp", 40)):
            line = f"{name}:x:{uid + place}:{gid + place}::/:/usr/sbin/nologin\n"
            for file, text in (
                ("passwd", line),
                ("group", f"{name}:x:{gid + place}:\n"),
                ("shadow", f"{name}:!:1::::::\n"),
            ):
                with (host.root / "etc" / file).open("a") as stream:
                    stream.write(text)
    queue = slave.root / "srv/exim4"
    queue.mkdir(mode=0o750)
    (queue / "mainlog").write_text("mail\n")
    for path in (queue, queue / "mainlog"):
        os.chown(path, 110, 115)

    accounts = LocalAccounts(Paths(slave.root), CutOnce())
    plan = plan_numbers(master.users, master.groups, slave.users, slave.groups)
    assert plan.refused == ()
    with pytest.raises(KeyboardInterrupt):
        accounts.apply(plan)
    assert accounts.unfinished
    assert not accounts.finish()
    assert plan_numbers(master.users, master.groups, slave.users, slave.groups).empty
    merged = merge_accounts({name: master.text(name) for name in FILES}, {name: slave.text(name) for name in FILES})
    assert merged.moved == {}
    exim = parse_users(merged.texts["passwd"])["Debian-exim"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (queue, queue / "mainlog")} == {
        (exim.number, exim.gid)
    }
    assert exim.number == 112
