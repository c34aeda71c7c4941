"""The old MASTER comes back as SLAVE: two real agents, real TLS, a real replica, real renames; nothing of the network
and of units. What the vault must hold is found out by an rsync of its own.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hotsync.agent.daemon import open_store
from hotsync.backends.network import ifupdown
from hotsync.changes.detect import detect
from hotsync.cli.rejoin import rejoin_command
from hotsync.engine.rejoin.files import forget_attempt
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.engine.sync.select import build_selection
from hotsync.errors import (
    AddressTaken,
    NotReady,
    PeerRefused,
    PeerUnreachable,
    Refused,
    ReplicaError,
    StepFailed,
    UsageError,
    WrongRole,
)
from hotsync.flows.rejoin import Rejoined, prospect, rejoin_as_slave
from hotsync.flows.returned import Machine, take_back
from hotsync.flows.save import Surroundings, save
from hotsync.flows.status import read_status
from hotsync.flows.sync import COMMAND
from hotsync.flows.undo import read_facts
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.facts import AddressFact, InterfaceFact, MasterFacts, NetworkFacts, RouteFact
from hotsync.model.hold import Hold
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.rejoin import Rejoin
from hotsync.model.selection import Selection
from hotsync.model.undo import Undo
from hotsync.planning.rejoin import RejoinFacts, plan_rejoin
from hotsync.profiles.resolve import queue_rules
from hotsync.state import leaving
from hotsync.state import rejoin as document
from hotsync.state.facts import render_facts
from hotsync.state.hold import load_hold, note_released, save_hold
from hotsync.state.promotion import load_promotion, save_promotion
from hotsync.state.returned import load_returned
from hotsync.state.runs import Runs
from hotsync.state.store import load_role, save_role, set_production
from hotsync.state.undo import save_undo
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.agent.pair import MASTER_ADDRESS, SLAVE_ADDRESS, Host, Pair, two_hosts
from tests.support import master_child
from tests.support.dying import Cut

pytestmark = pytest.mark.contract
MEGABYTE = 1_000_000


INTERFACES = """\
# the administrator's own words
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address 10.77.0.1/24
    gateway 10.77.0.254
"""
PRODUCTION, STANDBY = Address("eth0", "10.77.0.1", 24), Address("eth0", "10.77.0.2", 24)


class NoNetwork:
    """A running network that only says what it was told."""

    def __init__(self) -> None:
        self.held = False
        self.taken: tuple[Address, ...] = ()
        self.name = ""

    def set_name(self, name: str) -> None:
        self.name = name

    def holders(self, own: Iterable[Address]) -> dict[str, str]:
        return {address.address: "somebody's" for address in own if self.held}

    def wait_until_free(self, own: Iterable[Address]) -> None:
        if there := self.holders(own):
            raise AddressTaken(addresses=", ".join(there))

    def take(self, own: Iterable[Address], gateways: Iterable[Address]) -> None:
        self.taken = tuple(own)


class NoUnits:
    """HotSync's own units, which a test does not have."""

    def reload(self) -> None:
        pass

    def arrange(self, role: Role, **_: object) -> None:
        pass


class Servers:
    """`old` was the MASTER, `new` its SLAVE; both have the same data, and `new` was promoted."""

    def __init__(self, hosts: Pair) -> None:
        self.old, self.new = hosts.master, hosts.slave
        self.said: list[str] = []
        self.network = NoNetwork()

    def sync(self, host: Host) -> float:
        """Run `hotsync` well, and return how many bytes went out on the bulk connection."""
        argv = [sys.executable, "-m", master_child.__name__, str(host.paths.root), ""]
        report: dict[str, Any] = json.loads(command.run(argv, env={"PYTHONPATH": os.pathsep.join(sys.path)}).text)
        assert report["code"] == 0, report
        last = Runs(host.paths.runs).last(COMMAND)
        assert last is not None
        return last.figures.get("sent_bytes", 0.0)

    def promote(self) -> None:
        """Leave `new` as a promotion does, without one: its tree is live, its replica closed."""
        paths = self.new.paths
        tree = paths.replica / "tree"
        for name in ("srv", "home", "root", "etc"):
            if (tree / name).exists():
                os.rename(tree / name, paths.root / name)
        with Manifest(paths.manifest) as manifest:
            generation, digest = manifest.generation, manifest.digest
        plan = NetworkPlan(addresses=(PRODUCTION,), standby=(STANDBY,))
        save_promotion(paths, Promotion(1, generation, digest, 1.0, 1.0, 1.0, plan, (), finished_at=2.0))
        open_store(paths).close("promoted")  # type: ignore[attr-defined]
        save_role(paths, RoleRecord(Role.MASTER, 1))
        set_production(paths, True)
        self.new.set("hotsync", role="master", SlaveHost="", MasterHost="")

    def hold(self) -> None:
        save_hold(self.old.paths, Hold(1, 1.0, begun=True, addresses=(PRODUCTION,)))

    def host(self) -> RejoinHost:
        return RejoinHost(self.old.paths, self.old.clock, NoUnits(), self.network)

    def rejoin(self, vault: Path | None = None) -> Rejoined:
        return rejoin_as_slave(self.old.paths, self.old.clock, self.said.append, vault, self.host())

    def differences(self) -> list[str]:
        """Compare what serves with what the SLAVE holds."""
        argv = ["rsync", "-naicHAXXS", "--numeric-ids", "--modify-window=-1", "--delete"]
        found: list[str] = []
        for name in ("srv", "home"):
            twin = self.old.paths.replica / "tree" / name
            found += command.run([*argv, f"{self.new.paths.root / name}/", f"{twin}/"]).text.splitlines()
        return found


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with two_hosts(tmp_path, start=False) as hosts:
        for host in (hosts.master, hosts.slave):
            host.open_store = partial(open_store, host.paths)
        hosts.slave.start()
        hosts.pair()
        root = hosts.master.paths.root
        (root / "home/anna/Maildir/cur").mkdir(parents=True)
        (root / "srv/share").mkdir(parents=True)
        (root / "etc/network").mkdir(parents=True)
        (root / "etc/network/interfaces").write_text(INTERFACES)
        (root / "home/anna/Maildir/cur/1.M1:2,S").write_text("a mail\n")
        for number in range(5):
            (root / f"srv/share/file {number}").write_bytes(os.urandom(MEGABYTE))
        made = Servers(hosts)
        assert made.sync(hosts.master) > 5 * MEGABYTE
        made.promote()
        yield made


@pytest.fixture
def apart(servers: Servers) -> Servers:
    """Both were written to while neither heard the other; then the old one was told, and holds itself."""
    old, new = servers.old.paths.root, servers.new.paths.root
    (old / "home/anna/Maildir/cur/2.M2:2,").write_text("came to the old one\n")
    (old / "srv/share/file 1").write_bytes(os.urandom(MEGABYTE))
    (old / "srv/share/file 2").unlink()
    (old / "srv/made here").mkdir()
    (old / "srv/made here/report").write_text("of the old one\n")
    os.chown(old / "srv/made here/report", 1234, 4321)
    (old / "etc/systemd/system/web.service.d").mkdir(parents=True)
    (old / "etc/systemd/system/web.service.d/zz-hotsync-mute.conf").write_text("of the hold\n")
    (new / "home/anna/Maildir/cur/3.M3:2,").write_text("came to the new one\n")
    (new / "srv/share/file 3").write_bytes(os.urandom(MEGABYTE))
    (new / "srv/share/file 4").unlink()
    servers.hold()
    return servers


def test_the_old_master_becomes_the_slave_and_is_sent_what_differs(apart: Servers) -> None:
    apart.rejoin()
    record = load_role(apart.old.paths)
    assert (record.role, record.epoch, record.claim) == (Role.SLAVE, 1, None)
    assert load_hold(apart.old.paths) is None
    assert not apart.old.paths.production_flag.exists()
    returned = load_returned(apart.new.paths)
    assert returned is not None
    assert returned.address == STANDBY.address
    assert apart.old.here.settings.master_host == PRODUCTION.address

    # here both servers keep the addresses that the test's network gave them
    apart.old.set("hotsync", MasterHost=SLAVE_ADDRESS)
    apart.old.start()
    apart.new.set("hotsync", SlaveHost=MASTER_ADDRESS)
    sent = apart.sync(apart.new)
    # of five files one is the same on both, and one is gone on the new one
    assert 3 * MEGABYTE < sent < 3.1 * MEGABYTE
    assert apart.differences() == []
    assert apart.sync(apart.new) == 0.0


def test_the_old_master_takes_the_address_that_the_new_one_keeps_for_it(apart: Servers) -> None:
    done = apart.rejoin()
    assert apart.network.taken == (STANDBY,)
    etc = apart.old.paths.at("/etc")
    state = ifupdown.read(etc)
    assert state.addresses == (STANDBY,)
    assert [gateway.address for gateway in state.gateways] == ["10.77.0.254"]
    assert (Path(done.rejoin.vault) / "network/network/interfaces").read_text() == INTERFACES
    assert apart.network.name == done.rejoin.name == (etc / "hostname").read_text().strip()
    assert done.rejoin.name in (etc / "hosts").read_text()
    assert done.rejoin.name != socket.gethostname()


def test_one_that_had_a_lease_and_was_held_before_it_had_an_address_finds_its_place(apart: Servers) -> None:
    paths, etc = apart.old.paths, apart.old.paths.at("/etc")
    (etc / "network/interfaces").write_text("auto eth0\niface eth0 inet dhcp\n")
    lease = AddressFact(PRODUCTION.address, PRODUCTION.prefix, dynamic=True)
    route = RouteFact("default", "eth0", "10.77.0.254")
    told = NetworkFacts(interfaces=(InterfaceFact("eth0", addresses=(lease,)),), routes=(route,))
    facts = paths.spool / "facts"
    facts.mkdir(parents=True)
    (facts / "network.json").write_bytes(render_facts(MasterFacts(network=told))["network.json"])
    save_hold(paths, Hold(1, 1.0, begun=True))
    done = apart.rejoin()
    assert done.rejoin.given_up == (PRODUCTION,)
    assert done.rejoin.gateways == (Address("eth0", "10.77.0.254", 32),)
    assert apart.network.taken == (STANDBY,)
    state = ifupdown.read(etc)
    assert not state.uses_dhcp
    assert state.addresses == (STANDBY,)
    assert [gateway.address for gateway in state.gateways] == ["10.77.0.254"]
    assert apart.old.here.settings.master_host == PRODUCTION.address


def test_the_new_master_lets_it_go_and_sends_to_the_old_one(apart: Servers) -> None:
    paths = apart.new.paths
    (paths.root / "etc/network").mkdir(parents=True, exist_ok=True)
    (paths.root / "etc/network/interfaces").write_text(INTERFACES)
    etc = paths.at("/etc")
    for path, text in ifupdown.standby(etc, [STANDBY], {}).items():
        (etc / path).write_text(text)
    assert set(ifupdown.read(etc).addresses) == {PRODUCTION, STANDBY}
    apart.rejoin()
    given_up: list[Address] = []
    machine = Machine(paths, given_up.extend, lambda _around, _say: None)
    assert take_back(machine, apart.said.append)
    assert given_up == [STANDBY]
    assert (etc / "network/interfaces").read_text() == INTERFACES
    assert apart.new.here.settings.slave_host == STANDBY.address
    assert apart.new.here.peer is not None
    assert apart.new.here.peer.address == STANDBY.address
    assert load_returned(paths) is None
    assert not take_back(machine, apart.said.append)


def test_nothing_flows_backwards(apart: Servers) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in (apart.new.paths.root / "srv").rglob("*"))
    apart.rejoin()
    assert sorted((path, path.lstat().st_mtime_ns) for path in (apart.new.paths.root / "srv").rglob("*")) == before


def test_the_vault_holds_exactly_what_was_never_received(apart: Servers, tmp_path: Path) -> None:
    root = apart.old.paths.root
    command.run(["cp", "-a", f"{root}/srv", f"{root}/home", str(tmp_path)])
    done = apart.rejoin()
    assert done.vault is not None
    vault = Path(done.rejoin.vault)
    found = {str(path.relative_to(vault / "files")) for path in (vault / "files").rglob("*") if not path.is_dir()}
    assert found == {"home/anna/Maildir/cur/2.M2:2,", "srv/share/file 1", "srv/made here/report"}
    argv = ["rsync", "-naicHAXXS", "--numeric-ids", "--modify-window=-1"]
    for name in ("srv", "home"):
        # of each file that is there nothing differs; only folders' times
        said = command.run([*argv, f"{vault}/files/{name}/", f"{tmp_path / name}/"]).text.splitlines()
        assert [line for line in said if not line.startswith(".d")] == []
    listed = (vault / "LIST.txt").read_text()
    assert "/srv/share/file 2" in listed
    summary = done.vault
    assert (summary.files, summary.mails, summary.deleted, summary.perhaps) == (3, 1, 1, 0)
    document = json.loads((vault / "list.json").read_text())
    fates = {one["path"]: one["fate"] for one in document["paths"] if not one["folder"]}
    assert fates == {
        "home/anna/Maildir/cur/2.M2:2,": "new",
        "srv/share/file 1": "changed",
        "srv/share/file 2": "deleted",
        "srv/made here/report": "new",
    }
    assert vault.stat().st_mode & 0o777 == 0o700


QUEUED = {
    "var/spool/postfix/deferred/A/A1": "waits since an hour\n",
    "var/spool/postfix/defer/A/A1": "why it waits\n",
    "var/spool/exim4/input/1t0Abc-000001-2z-H": "its head\n",
    "var/spool/exim4/input/1t0Abc-000001-2z-D": "its body\n",
}
"""Two mails that wait for being delivered."""
PLUMBING = {
    "var/spool/postfix/etc/hosts": "a copy\n",
    "var/spool/postfix/of the site/socket.conf": "x\n",
    "var/spool/postfix/lib64": "x\n",
    "var/spool/postfix/maildrop/M1": "x\n",
    "var/spool/exim4/db/x": "x\n",
}


def fill_queues(root: Path) -> None:
    for path, text in {**QUEUED, **PLUMBING}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for name in ("postfix/deferred", "postfix/deferred/A", "postfix/active", "exim4/input"):
        place = root / "var/spool" / name
        place.mkdir(exist_ok=True)
        place.chmod(0o700)
        os.chown(place, 113, 120)


def waiting(root: Path) -> dict[str, str]:
    return {path: (root / path).read_text() for path in QUEUED if (root / path).exists()}


def check_queues_are_empty(root: Path) -> None:
    assert waiting(root) == {}
    for name in ("postfix/deferred", "postfix/active", "exim4/input"):
        place = root / "var/spool" / name
        found = place.stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o700, 113, 120)
        assert os.listdir(place) == []
    assert {path: (root / path).read_text() for path in PLUMBING} == PLUMBING


def test_mail_that_waited_when_the_master_died_is_in_the_vault_and_nobody_delivers_it_here(apart: Servers) -> None:
    root = apart.old.paths.root
    fill_queues(root)
    done = apart.rejoin()
    vault = Path(done.rejoin.vault)
    assert waiting(vault / "files") == QUEUED
    assert (vault / "files/var/spool/postfix/deferred/A").stat().st_uid == 113
    assert not (vault / "files/var/spool/postfix/maildrop").exists()
    check_queues_are_empty(root)
    assert done.vault is not None
    assert done.vault.queued == 2
    assert "2 mails that wait for being delivered" in done.vault.sentence
    assert "rsync -aHAX files/var/spool/ MASTER:/var/spool/" in (vault / "LIST.txt").read_text()
    # the new MASTER carries no queue: none of it is left in what a later promotion would bring into production
    apart.old.set("hotsync", MasterHost=SLAVE_ADDRESS)
    apart.old.start()
    apart.new.set("hotsync", SlaveHost=MASTER_ADDRESS)
    apart.sync(apart.new)
    assert waiting(apart.old.paths.replica / "tree") == {}
    check_queues_are_empty(root)


def test_mail_that_a_switchover_handed_over_is_no_news_and_leaves_the_old_master(servers: Servers) -> None:
    """The new MASTER delivered it long since; the old one would have delivered it again, once that is promoted."""
    paths = servers.old.paths
    fill_queues(paths.root)
    time.sleep(0.1)  # older than a time stamp can tell: a run would look at them once more
    # what the last run of a switchover carries
    rules = Selection(queue_rules())
    with Manifest(paths.manifest) as manifest:
        out = paths.state / "queues"
        detection = detect(
            paths.root, Selection([*rules.rules, *build_selection(paths, ()).rules.rules]), manifest, out,
            servers.old.clock, frozenset(), manifest.digest,
        )  # fmt: skip
        manifest.apply(read_changes(detection.planned), manifest.generation + 1, detection.summary.digest)
        standing = manifest.generation, manifest.digest
    promotion = load_promotion(servers.new.paths)
    assert promotion is not None
    with Manifest(servers.new.paths.manifest) as manifest:
        manifest.replace([], *standing)
    save_promotion(servers.new.paths, replace(promotion, generation=standing[0], digest=standing[1]))
    servers.hold()
    done = servers.rejoin()
    assert done.vault is not None
    assert done.vault.is_empty, (Path(done.rejoin.vault) / "LIST.txt").read_text()
    check_queues_are_empty(paths.root)


def test_what_the_new_master_received_and_the_old_one_never_heard_of_is_not_in_the_vault(servers: Servers) -> None:
    """The changeset in the outbox tells what became of it; without it the new MASTER does."""
    servers.hold()
    with Manifest(servers.old.paths.manifest) as manifest:
        manifest.replace([], 0, "0" * 64)
    done = servers.rejoin()
    assert done.vault is not None
    assert done.vault.is_empty, done.vault


def test_a_vault_lies_where_it_is_wished(apart: Servers, tmp_path: Path) -> None:
    done = apart.rejoin(tmp_path / "vaults")
    assert Path(done.rejoin.vault).parent == tmp_path / "vaults"
    assert (Path(done.rejoin.vault) / "files/srv/made here/report").read_text() == "of the old one\n"


def test_a_vault_that_would_move_away_or_be_carried_is_refused_and_nothing_begins(apart: Servers) -> None:
    root = apart.old.paths.root
    (root / "mnt").mkdir()
    (root / "mnt/link").symlink_to(root / "srv")
    for place in (
        "srv/vaults",
        "home/anna",
        "mnt/link/made/later",
        "var/lib/hotsync/spool/x",
        "var/lib/hotsync/replica",
    ):
        with pytest.raises(Refused, match="the vault must not lie in") as caught:
            apart.rejoin(root / place)
        assert "/media" in caught.value.hint
        assert document.load_rejoin(apart.old.paths) is None
    assert not (root / "srv/vaults").exists()
    # what the hint names is accepted
    done = apart.rejoin(root / "media/disk/vaults")
    assert (Path(done.rejoin.vault) / "files/srv/made here/report").read_text() == "of the old one\n"
    assert Path(done.rejoin.vault).parent == root / "media/disk/vaults"


def test_one_that_finds_no_room_is_made_where_it_is_wished_then(apart: Servers, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    command.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)])
    try:
        with pytest.raises(StepFailed, match="never received takes") as caught:
            apart.rejoin(small)
        assert "--vault /media/DISK/DIR" in caught.value.hint
        begun = document.load_rejoin(apart.old.paths)
        assert begun is not None
        assert os.listdir(small) == [], "what is half there takes nobody's room"
        with pytest.raises(Refused, match="the vault must not lie in"):
            apart.rejoin(apart.old.paths.root / "home")
        seen = prospect(apart.old.paths, apart.old.clock, large)
        assert Path(seen.rejoin.vault).parent == large
        assert document.load_rejoin(apart.old.paths) == begun, "to look changes nothing"
        done = apart.rejoin(large)
        assert os.listdir(small) == []
    finally:
        command.run(["umount", str(small)])
    assert (Path(done.rejoin.vault) / "files/srv/made here/report").read_text() == "of the old one\n"
    assert Path(done.rejoin.vault).parent == large
    assert done.rejoin.started_at == begun.started_at


def test_a_vault_that_is_whole_is_not_made_a_second_time_somewhere_else(apart: Servers, tmp_path: Path) -> None:
    failing = apart.host()
    failing.make_replica = lambda: (_ for _ in ()).throw(OSError(5, "the disk"))  # type: ignore[method-assign]
    with pytest.raises(StepFailed):
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, failing)
    with pytest.raises(UsageError, match="is made already"):
        apart.rejoin(tmp_path / "elsewhere")
    begun = document.load_rejoin(apart.old.paths)
    assert begun is not None
    assert apart.rejoin(Path(begun.vault).parent).rejoin.vault == begun.vault
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("how", ["forgotten", "cut after the vault"])
def test_what_an_attempt_has_left_is_nothing_that_the_next_one_compares_with(apart: Servers, how: str) -> None:
    paths = apart.old.paths
    host = apart.host()
    keep = host.keep_files

    def cut() -> None:
        if how == "cut after the vault":
            keep()
        (paths.state / "rejoin.spool/mariadb/default").mkdir(parents=True)
        if how == "forgotten":
            rejoin = document.load_rejoin(paths)
            assert rejoin is not None
            Path(f"{rejoin.vault}.part/files").mkdir(parents=True)
        raise Cut

    host.keep_files = cut  # type: ignore[method-assign]
    with pytest.raises(Cut):
        rejoin_as_slave(paths, apart.old.clock, apart.said.append, None, host)
    if how == "forgotten":
        forget_attempt(paths, apart.old.clock)
        assert os.listdir(paths.state / "vault") == []
    else:
        apart.rejoin()
    assert not (paths.state / "rejoin.spool").exists()


def test_without_room_for_what_lies_on_another_disk_it_does_not_begin(apart: Servers, tmp_path: Path) -> None:
    paths, aside, image = apart.old.paths, tmp_path / "aside", tmp_path / "disk.img"
    (paths.root / "home/anna/film").write_bytes(os.urandom(50 * MEGABYTE))
    os.rename(paths.state, aside)
    paths.state.mkdir()
    with image.open("wb") as file:
        file.truncate(100 * MEGABYTE)
    command.run(["mkfs.ext4", "-q", str(image)])
    command.run(["mount", "-o", "loop", str(image), str(paths.state)])
    try:
        command.run(["cp", "-a", f"{aside}/.", str(paths.state)])
        with pytest.raises(ReplicaError, match=r"must be copied to the file system of .*, which lacks \d+ MiB"):
            apart.rejoin()
        assert document.load_rejoin(paths) is None
        assert load_role(paths).role is Role.MASTER
        assert not (paths.state / "vault").exists()
    finally:
        command.run(["umount", str(paths.state)])


def test_what_stands_in_the_way_is_said_and_changes_nothing(servers: Servers) -> None:
    with pytest.raises(UsageError, match="not held"):
        servers.rejoin()
    save_hold(servers.old.paths, Hold(1, 1.0))
    with pytest.raises(NotReady, match="still being stopped"):
        servers.rejoin()
    save_hold(servers.old.paths, Hold(0, 1.0, begun=True, why="nobody answered"))
    with pytest.raises(Refused, match="nobody answered"):
        servers.rejoin()
    servers.hold()
    servers.new.set("hotsync", SlaveHost="10.77.0.9")
    with pytest.raises(PeerRefused, match="has a SLAVE already"):
        servers.rejoin()
    servers.new.set("hotsync", SlaveHost="")
    save_hold(servers.old.paths, Hold(5, 1.0, begun=True))
    with pytest.raises(Refused, match="epoch 1"):
        servers.rejoin()
    save_role(servers.old.paths, RoleRecord(Role.SLAVE, 1))
    with pytest.raises(WrongRole):
        servers.rejoin()
    assert document.load_rejoin(servers.old.paths) is None
    assert (servers.old.paths.root / "srv/share/file 1").exists()


class Dying:
    """A server that dies at a chosen call: before it, or when it is done and nobody has written that down."""

    def __init__(self, real: RejoinHost, call: int) -> None:
        self._real, self._left = real, call
        self.died_in = ""

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def called(*args: object) -> None:
            self._die(name)
            real(*args)
            self._die(name)

        return called

    def _die(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.died_in = name
            raise Cut


def test_cut_before_and_after_every_step_it_comes_to_its_end(apart: Servers) -> None:
    """One rejoin that is cut again and again: each step is begun twice, and done twice."""
    cut: list[str] = []
    while True:
        # the first call that is left: first it is not begun, then it is done and not written down
        for point in (1, 2):
            host = Dying(apart.host(), point)
            with suppress(Cut):
                rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
            cut.append(host.died_in)
        begun = document.load_rejoin(apart.old.paths)
        assert begun is not None
        if begun.finished_at:
            break
        left = [step.key for step in plan_rejoin(RejoinFacts(begun, begun=True))]
        one_step(apart, left[0])
    assert {"begin", "keep_files", "make_replica", "move", "hold_generation", "tell_master", "become_slave"} <= set(cut)
    assert {"write_network", "take_addresses", "finish"} <= set(cut)
    assert load_role(apart.old.paths).role is Role.SLAVE
    vault = Path(begun.vault) / "files"
    found = {str(path.relative_to(vault)) for path in vault.rglob("*") if path.is_file()}
    assert found == {"home/anna/Maildir/cur/2.M2:2,", "srv/share/file 1", "srv/made here/report"}
    apart.old.set("hotsync", MasterHost=SLAVE_ADDRESS)
    apart.old.start()
    apart.new.set("hotsync", SlaveHost=MASTER_ADDRESS)
    apart.sync(apart.new)
    assert apart.differences() == []
    left_over = {path.name for path in apart.old.paths.state.iterdir()}
    assert not {name for name in left_over if name.endswith((".part", ".new", ".spool"))}


def one_step(servers: Servers, key: str) -> None:
    """Let the next step be done and written down, and die before the one after it."""
    host = Dying(servers.host(), 3)
    with suppress(Cut):
        rejoin_as_slave(servers.old.paths, servers.old.clock, servers.said.append, None, host)
    done = document.load_rejoin(servers.old.paths)
    assert done is not None
    assert key in done.done or done.finished_at


def test_a_master_that_is_nowhere_does_not_keep_it_from_finishing(apart: Servers) -> None:
    host = apart.host()
    real = host.tell_master

    def lose_the_master() -> None:
        apart.new.stop()
        apart.network.held = True
        with pytest.raises(PeerUnreachable):
            real()
        apart.network.held = False
        real()

    host.tell_master = lose_the_master  # type: ignore[method-assign]
    done = rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
    assert "SlaveHost 10.77.0.2" in done.rejoin.notes[0]
    assert load_role(apart.old.paths).role is Role.SLAVE


def test_a_master_that_heard_nothing_lets_the_address_go_once_the_settings_name_the_slave_there(
    apart: Servers,
) -> None:
    """It was off while the old one came back: its files had the standby address for ever, and nobody told it."""
    paths = apart.new.paths
    etc = paths.at("/etc")
    (etc / "network").mkdir(parents=True, exist_ok=True)
    (etc / "network/interfaces").write_text(INTERFACES)
    for path, text in ifupdown.standby(etc, [STANDBY], {}).items():
        (etc / path).write_text(text)
    host = apart.host()
    tell = host.tell_master

    def after_a_power_cut_there() -> None:
        apart.new.stop()
        tell()

    host.tell_master = after_a_power_cut_there  # type: ignore[method-assign]
    done = rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
    (note,) = done.rejoin.notes
    assert "Until then it has that address, too" in note
    given_up: list[Address] = []

    def put_into_force(around: Surroundings, say: Callable[[str], None]) -> None:
        save(replace(around, units=NoUnits(), tend_streams=lambda *_: []), say)

    # what the note says
    assert f"config setprop hotsync SlaveHost {STANDBY.address}" in note
    apart.new.set("hotsync", SlaveHost=STANDBY.address)
    put_into_force(Surroundings(paths), apart.said.append)
    assert f"{STANDBY.address} is the SLAVE's" in " ".join(apart.said)
    # what hotsync-returned.service does then, with a save of its own
    assert take_back(Machine(paths, given_up.extend, put_into_force), apart.said.append)
    assert given_up == [STANDBY]
    assert (etc / "network/interfaces").read_text() == INTERFACES
    assert load_returned(paths) is None
    put_into_force(Surroundings(paths), apart.said.append)
    assert load_returned(paths) is None
    assert apart.new.here.settings.slave_host == STANDBY.address
    assert apart.new.here.peer is not None
    assert apart.new.here.peer.address == STANDBY.address


def test_while_somebody_keeps_its_address_neither_its_files_nor_its_role_change(apart: Servers) -> None:
    """The new MASTER heard, and does not let it go: a boot of this server would take it beside that one."""
    apart.network.held = True
    before = ifupdown.read(apart.old.paths.at("/etc"))
    for _ in range(2):
        with pytest.raises(StepFailed, match=f"Somebody else still has {STANDBY.address}"):
            apart.rejoin()
        assert ifupdown.read(apart.old.paths.at("/etc")) == before
        assert load_role(apart.old.paths).role is Role.MASTER
        assert load_hold(apart.old.paths) is not None
        assert load_returned(apart.new.paths) is not None
    apart.network.held = False
    apart.rejoin()
    assert apart.network.taken == (STANDBY,)
    assert load_role(apart.old.paths).role is Role.SLAVE


def test_a_rejoin_that_was_cut_goes_on_where_it_stopped(apart: Servers) -> None:
    real = RejoinHost.become_slave
    failing = apart.host()
    failing.become_slave = lambda: (_ for _ in ()).throw(OSError(5, "the disk"))  # type: ignore[method-assign]
    with pytest.raises(StepFailed):
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, failing)
    begun = document.load_rejoin(apart.old.paths)
    assert begun is not None
    assert real is RejoinHost.become_slave
    done = apart.rejoin()
    assert done.rejoin.vault == begun.vault
    assert replace(done.rejoin, records=(), finished_at=0.0) == replace(begun, records=())
    assert load_role(apart.old.paths).role is Role.SLAVE


def test_a_second_call_shows_the_one_that_is_going_on_and_ends_with_it(
    apart: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told how many steps were left, asked, and ended with "another run is running"."""
    paths, host = apart.old.paths, apart.host()
    reached, seen = threading.Event(), threading.Event()
    keep = host.keep_files

    def wait() -> None:
        reached.set()
        assert seen.wait(30)
        keep()

    host.keep_files = wait  # type: ignore[method-assign]
    monkeypatch.setenv("HOTSYNC_ROOT", str(paths.root))
    monkeypatch.setattr("hotsync.cli.rejoin.log.set_up", lambda _: None)
    first = threading.Thread(
        target=rejoin_as_slave, args=(paths, apart.old.clock, apart.said.append, None, host), daemon=True
    )
    first.start()
    assert reached.wait(30)
    assert read_status(paths, apart.old.clock).rejoining
    look = document.load_rejoin

    def looked(_: Paths) -> Rejoin | None:
        seen.set()
        return look(paths)

    monkeypatch.setattr(document, "load_rejoin", looked)
    second = CliRunner().invoke(rejoin_command, [], standalone_mode=False)
    first.join(30)
    assert (second.exception, second.return_value) == (None, 0)
    shown = [line.partition("] ")[2] for line in second.stdout.splitlines() if line.startswith("[")]
    assert shown == [line.partition("] ")[2] for line in apart.said]
    assert f"at {STANDBY}" in second.stdout
    assert load_role(paths).role is Role.SLAVE


def test_once_the_old_master_moves_its_data_the_new_one_cannot_undo_its_promotion_any_more(apart: Servers) -> None:
    """Both would have been left without production, hours before the rejoin ended."""
    read_facts(apart.new.paths, apart.new.clock)
    prospect(apart.old.paths, apart.old.clock, None)
    read_facts(apart.new.paths, apart.new.clock)  # to look at what a rejoin would do binds nobody
    failing = apart.host()
    failing.hold_generation = lambda: (_ for _ in ()).throw(OSError(5, "the disk"))  # type: ignore[method-assign]
    with pytest.raises(StepFailed):
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, failing)
    with pytest.raises(Refused, match="nobody would be the MASTER") as caught:
        read_facts(apart.new.paths, apart.new.clock)
    assert "hotsync-promote --planned" in caught.value.hint
    apart.rejoin()
    assert load_role(apart.old.paths).role is Role.SLAVE


@pytest.mark.parametrize("begun", [False, True])
def test_while_the_new_master_is_undone_nothing_of_the_old_one_moves(apart: Servers, begun: bool) -> None:
    host = apart.host()
    keep = host.keep_files

    def undo_begins() -> None:
        keep()
        if begun:
            save_undo(apart.new.paths, Undo(1, 1, 1.0, was_master=True))

    host.keep_files = undo_begins  # type: ignore[method-assign]
    with nullcontext() if begun else leaving.locked(apart.new.paths, wait=True), pytest.raises(StepFailed) as caught:
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
    assert "its promotion is being undone" in caught.value.sentence
    assert "Nothing has moved here" in caught.value.hint
    assert (apart.old.paths.root / "srv/share/file 1").exists()
    assert document.load_rejoin(apart.old.paths) is None
    assert leaving.load_leaving(apart.new.paths) is None
    # it serves again as if there had been no rejoin
    assert note_released(apart.old.paths, load_role(apart.old.paths), 1)


def test_a_rejoin_whose_master_was_promoted_anew_meanwhile_begins_anew(apart: Servers) -> None:
    host = apart.host()
    keep = host.keep_files

    def another_epoch() -> None:
        keep()
        save_role(apart.new.paths, RoleRecord(Role.MASTER, 3))
        promotion = load_promotion(apart.new.paths)
        assert promotion is not None
        save_promotion(apart.new.paths, replace(promotion, epoch=3))

    host.keep_files = another_epoch  # type: ignore[method-assign]
    with pytest.raises(StepFailed, match="at epoch 3 by now, and was at 1"):
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
    apart.rejoin()
    assert load_role(apart.old.paths).epoch == 3


def test_an_old_master_whose_successor_is_none_any_more_says_what_can_be_done(apart: Servers) -> None:
    host = apart.host()
    tell = host.tell_master

    def after_an_undo() -> None:
        save_role(apart.new.paths, RoleRecord(Role.SLAVE, 1, released=1))
        apart.new.set("hotsync", role="slave")
        tell()

    host.tell_master = after_an_undo  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        rejoin_as_slave(apart.old.paths, apart.old.clock, apart.said.append, None, host)
    assert "this server's data lies in its replica already" in caught.value.sentence
    assert "run `hotsync-promote` there, then `hotsync rejoin` here" in caught.value.hint
    # and what it hears of that release changes nothing, and makes nothing of this server run again and again
    assert not note_released(apart.old.paths, load_role(apart.old.paths), 1)
    save_role(apart.new.paths, RoleRecord(Role.MASTER, 3))
    apart.rejoin()
    assert load_role(apart.old.paths).role is Role.SLAVE
