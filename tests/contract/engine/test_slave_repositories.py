"""The MASTER's repositories are taken over only as they were shown, with their keys, and never followed silently."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hotsync.engine.slave.repositories import accept, read_offer, unsettled
from hotsync.engine.slave.repositories_apt import PINS_FILE, SOURCE_FILE
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract
APP = "deb [signed-by=/etc/apt/keyrings/app.gpg] https://apps.example/deb stable app\n"
DEBIAN = "deb http://mirror.example/debian bookworm main\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """A real key, and its fingerprint."""
    home = tmp_path_factory.mktemp("gpg")
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    user = "Packages of a Test <packages@example.org>"
    subprocess.run(
        [*gpg, "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign"], check=True, capture_output=True
    )
    shown = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))
    exported = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    return exported, fingerprint


@pytest.fixture
def paths(tmp_path: Path, key: tuple[bytes, str]) -> Paths:
    found = Paths(tmp_path)
    tree = found.replica / "tree/etc/apt"
    for folder in (tree / "keyrings", tree / "sources.list.d", tmp_path / "etc/apt/sources.list.d"):
        folder.mkdir(parents=True)
    (tree / "sources.list").write_text(DEBIAN)
    (tree / "sources.list.d/app.list").write_text(APP)
    (tree / "keyrings/app.gpg").write_bytes(key[0])
    (tmp_path / "etc/apt/sources.list").write_text(DEBIAN)
    return found


def test_what_is_shown_is_only_what_is_new_here_with_the_fingerprint_of_its_key(
    paths: Paths, key: tuple[bytes, str]
) -> None:
    offer = read_offer(paths)
    assert [each.shown for each, _ in offer.repositories] == ["https://apps.example/deb stable app"]
    assert [each.keys for each in offer.keyrings] == [(f"{key[1]} Packages of a Test <packages@example.org>",)]


def test_accepting_writes_the_source_with_exactly_its_key_and_is_settled(paths: Paths, key: tuple[bytes, str]) -> None:
    offer = read_offer(paths)
    assert unsettled(paths, offer, packages_missing=False) == ""
    assert "1 repositories" in unsettled(paths, offer, packages_missing=True)
    accept(paths, offer, 1.0)
    place = offer.keyrings[0].place
    assert paths.at(place).read_bytes() == key[0]
    written = paths.at(SOURCE_FILE).read_text().splitlines()[1:]
    assert written == [f"deb [signed-by={place}] https://apps.example/deb stable app"]
    again = read_offer(paths)
    assert again.digest == offer.digest
    assert unsettled(paths, again, packages_missing=True) == ""


@pytest.mark.parametrize("what", ["key", "source", "gone"])
def test_a_later_change_on_the_master_is_told_and_not_followed(paths: Paths, what: str) -> None:
    accept(paths, read_offer(paths), 1.0)
    before = paths.at(SOURCE_FILE).read_bytes()
    apt = paths.replica / "tree/etc/apt"
    if what == "key":
        (apt / "keyrings/app.gpg").write_bytes(b"another key")
    elif what == "source":
        (apt / "sources.list.d/app.list").write_text(APP + "deb http://evil.example ./\n")
    else:
        (apt / "sources.list.d/app.list").unlink()
    offer = read_offer(paths)
    assert "not those any more" in unsettled(paths, offer, packages_missing=False)
    assert paths.at(SOURCE_FILE).read_bytes() == before


def test_links_in_the_tree_lead_nowhere(paths: Paths, tmp_path: Path) -> None:
    secret = tmp_path / "etc/shadow"
    secret.write_text("deb http://secret.example/ x y\n")
    apt = paths.replica / "tree/etc/apt"
    (apt / "sources.list.d/evil.list").symlink_to(secret)
    (apt / "keyrings/app.gpg").unlink()
    (apt / "keyrings/app.gpg").symlink_to(secret)
    os.mkfifo(apt / "sources.list.d/pipe.list")
    offer = read_offer(paths)
    assert offer.repositories == ()
    assert ["not carried" in each.reason for each in offer.refused] == [True]


def test_a_keyring_of_this_server_is_never_replaced(paths: Paths) -> None:
    own = paths.at("/etc/apt/keyrings/app.gpg")
    own.parent.mkdir(parents=True)
    own.write_bytes(b"ours")
    accept(paths, read_offer(paths), 1.0)
    assert own.read_bytes() == b"ours"


def test_pins_are_accepted_with_the_repositories_and_apt_goes_by_them(paths: Paths) -> None:
    pins = paths.replica / "tree/etc/apt/preferences.d"
    pins.mkdir()
    (pins / "app.pref").write_text("Package: app\nPin: version 1.*\nPin-Priority: 990\n")
    (pins / "odd.txt").write_text("Package: x\nPin: version 1\nPin-Priority: 1\n")
    offer = read_offer(paths)
    assert [str(pin) for pin in offer.pins] == ["app: version 1.*, priority 990"]
    accept(paths, offer, 1.0)
    options = [f"-oDir={paths.root}", f"-oDir::State::status={paths.at('/etc/status')}"]
    paths.at("/etc/status").write_text("")
    shown = subprocess.run(["apt-config", *options, "dump"], check=True, capture_output=True, text=True).stdout
    assert f'Dir "{paths.root}";' in shown
    checked = subprocess.run(["apt-cache", *options, "policy"], check=True, capture_output=True, text=True)
    assert checked.stderr == "", "apt reads what was written without a word"
    assert unsettled(paths, read_offer(paths), packages_missing=False) == ""
    (pins / "app.pref").write_text("Package: app\nPin: version 2.*\nPin-Priority: 990\n")
    assert "pins are not those any more" in unsettled(paths, read_offer(paths), packages_missing=False)
    (pins / "app.pref").unlink()
    accept(paths, read_offer(paths), 2.0)
    assert not paths.at(PINS_FILE).exists()
