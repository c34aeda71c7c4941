"""The MASTER's repositories on Red Hat's family, with the real dnf, rpm and signatures made here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages.dnf import Dnf
from hotsync.engine.slave.package_facts import Standing
from hotsync.engine.slave.packages import SlavePackages
from hotsync.engine.slave.repositories import accept, read_offer, unsettled
from hotsync.engine.slave.repositories_dnf import KEYRINGS, SOURCE_FILE
from hotsync.model.packages.values import Wanted
from hotsync.model.slave import SlaveOutcome
from hotsync.state.slave_run import SlaveRun
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract


class Maker:
    """Somebody who signs packages."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        subprocess.run([*gpg, "--quick-generate-key", "Maker <maker@example.org>", "rsa2048", "sign"], check=True)
        self.key = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
        listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True)
        self.fingerprint = next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr:"))

    def sign(self, file: Path) -> None:
        words = {"__gpg": "/usr/bin/gpg", "_gpg_name": "Maker", "_gpg_path": str(self._home)}
        defines = [word for name, value in words.items() for word in ("--define", f"{name} {value}")]
        subprocess.run(["rpmsign", *defines, "--addsign", str(file)], check=True, capture_output=True)

    def leave(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"], check=True)


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Maker, Maker]]:
    """Return the maker of the packages, and somebody else."""
    found = [Maker(tmp_path_factory.mktemp("gpg") / "home") for _ in range(2)]
    yield found[0], found[1]
    for maker in found:
        maker.leave()


class Slave:
    """A SLAVE whose MASTER has a repository that it lacks, with a signed package and one that is not."""

    def __init__(self, folder: Path, maker: Maker) -> None:
        self.world = DnfRoot(folder / "slave")
        self.paths = self.world.paths
        theirs = DnfRoot(folder / "master")
        for name in ("app", "loose"):
            file = theirs.offer(name)
            if name == "app":
                maker.sign(file)
        theirs.publish()
        self.tree = self.paths.replica / "tree/etc"
        (self.tree / "yum.repos.d").mkdir(parents=True)
        (self.tree / "pki/rpm-gpg").mkdir(parents=True)
        (self.tree / "pki/rpm-gpg/KEY-app").write_bytes(maker.key)
        own = (self.world.root / "etc/yum.repos.d/test.repo").read_text()
        (self.tree / "yum.repos.d/test.repo").write_text(own)
        self.address = f"file://{theirs.repository}"
        self.offer_it()

    def offer_it(self, more: str = "") -> None:
        """Let the MASTER have its repository set up like this."""
        text = f"[app]\nname=App\nbaseurl={self.address}\ngpgkey=file:///etc/pki/rpm-gpg/KEY-app\n{more}"
        (self.tree / "yum.repos.d/app.repo").write_text(text)

    def install(self, *names: str) -> dict[str, str]:
        """Install packages; return why those that are not here are not."""
        written = self.paths.at(SOURCE_FILE)
        # dnf looks for keys on the host, not below the root that it installs into
        written.write_text(written.read_text().replace(f"file://{KEYRINGS}", f"file://{self.paths.at(KEYRINGS)}"))
        outcome = SlaveOutcome()
        standing = Standing(self.paths, Dnf(self.paths), (), SlaveRun(0.0, 0))
        wanted = [Wanted(name, "1.0-1", True) for name in names]
        SlavePackages(standing, Mute(self.paths, lambda _: ""), wanted, outcome).install(names)
        return outcome.missing


@pytest.fixture
def slave(tmp_path: Path, makers: tuple[Maker, Maker]) -> Slave:
    (tmp_path / "slave").mkdir()
    (tmp_path / "master").mkdir()
    return Slave(tmp_path, makers[0])


def test_what_is_new_here_is_shown_with_its_key_accepted_and_installed_from(
    slave: Slave, makers: tuple[Maker, Maker]
) -> None:
    offer = read_offer(slave.paths)
    assert [each.shown for each, _ in offer.repositories] == [f"app: {slave.address}"]
    assert [each.keys for each in offer.keyrings] == [(f"{makers[0].fingerprint} Maker <maker@example.org>",)]
    assert "1 repositories" in unsettled(slave.paths, offer, packages_missing=True)
    accept(slave.paths, offer, 1.0)
    assert slave.paths.at(offer.keyrings[0].place).read_bytes() == makers[0].key
    assert read_offer(slave.paths).digest == offer.digest
    assert unsettled(slave.paths, read_offer(slave.paths), packages_missing=True) == ""
    assert slave.install("app") == {}
    assert slave.install("loose")["loose"], "it is not signed"
    assert Dnf(slave.paths).installed().keys() == {"app"}


def test_a_package_that_the_accepted_key_did_not_sign_is_not_installed(
    slave: Slave, makers: tuple[Maker, Maker]
) -> None:
    (slave.tree / "pki/rpm-gpg/KEY-app").write_bytes(makers[1].key)
    accept(slave.paths, read_offer(slave.paths), 1.0)
    assert slave.install("app")["app"]
    assert Dnf(slave.paths).installed() == {}


@pytest.mark.parametrize("what", ["key", "source", "gone"])
def test_a_later_change_on_the_master_is_told_and_not_followed(
    slave: Slave, makers: tuple[Maker, Maker], what: str
) -> None:
    accept(slave.paths, read_offer(slave.paths), 1.0)
    before = slave.paths.at(SOURCE_FILE).read_bytes()
    if what == "key":
        (slave.tree / "pki/rpm-gpg/KEY-app").write_bytes(makers[1].key)
    elif what == "source":
        slave.offer_it("priority=1\n")
    else:
        (slave.tree / "yum.repos.d/app.repo").unlink()
    assert "not those any more" in unsettled(slave.paths, read_offer(slave.paths), packages_missing=False)
    assert slave.paths.at(SOURCE_FILE).read_bytes() == before


def test_an_offer_that_is_accepted_after_another_takes_its_key_away(slave: Slave, makers: tuple[Maker, Maker]) -> None:
    accept(slave.paths, read_offer(slave.paths), 1.0)
    own = slave.paths.at(KEYRINGS) / "KEY-own"
    own.write_bytes(b"ours")
    (slave.tree / "pki/rpm-gpg/KEY-app").write_bytes(makers[1].key)
    accept(slave.paths, read_offer(slave.paths), 2.0)
    kept = {path.name: path.read_bytes() for path in slave.paths.at(KEYRINGS).iterdir()}
    assert len(kept) == 2
    assert set(kept.values()) == {makers[1].key, b"ours"}


def test_unsafe_ones_and_links_are_refused(slave: Slave, tmp_path: Path) -> None:
    slave.offer_it("gpgcheck=0\n")
    assert [each.reason for each in read_offer(slave.paths).refused] == [
        "it switches the check of signatures or certificates off"
    ]
    slave.offer_it()
    key = slave.tree / "pki/rpm-gpg/KEY-app"
    key.rename(tmp_path / "elsewhere")
    key.symlink_to(tmp_path / "elsewhere")
    offer = read_offer(slave.paths)
    assert (offer.repositories, offer.digest) == ((), "")
    assert "/etc/pki/rpm-gpg" in offer.refused[0].reason
