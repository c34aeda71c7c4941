"""Where a vault may lie: by the rules and parts of a rejoin, links resolved, whether it is there or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.engine.rejoin.place import checked_place
from hotsync.errors import Refused
from hotsync.model.entry import Kind
from hotsync.model.rejoin import Part, Way
from hotsync.model.selection import Action, Rule, Selection, Voice
from hotsync.profiles.resolve import mount_rules
from hotsync.system.paths import Paths

RULES = Selection(
    [
        Rule("/home", Action.INCLUDE, "test"),
        Rule("/srv", Action.INCLUDE, "test"),
        Rule("/srv/backup", Action.EXCLUDE, "test"),
        Rule("/var/lib/hotsync", Action.PROTECT, "test"),
        Rule("/var/lib/hotsync/spool", Action.INCLUDE, "test"),
        *mount_rules([("/mnt/usb", "ext4"), ("/media/usb", "ext4"), ("/run/media/anna/usb", "ext4")]),
    ]
)
PARTS = [Part("home", Way.MOVE, Kind.DIRECTORY, 1), Part("srv/share", Way.MOVE, Kind.DIRECTORY, 2)]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "root")
    for folder in ("home/anna", "srv/share", "srv/backup", "mnt/usb", "media/usb", "var/lib/hotsync"):
        (paths.root / folder).mkdir(parents=True)
    return paths


@pytest.mark.parametrize(
    "place",
    ["/home", "/home/anna/vault", "/srv/share/not/there/yet", "/srv", "/srv/new", "/mnt/usb/vault", "/mnt/usb",
     "/var/lib/hotsync/spool", "/var/lib/hotsync/replica/x", "/var/lib/hotsync/rejoin.spool", "/media/../home/x"],
)  # fmt: skip
def test_what_moves_or_is_carried_holds_no_vault(paths: Paths, place: str) -> None:
    with pytest.raises(Refused, match="the vault must not lie in") as caught:
        checked_place(paths, Path(f"{paths.root}{place}"), PARTS, RULES)
    assert "\n" not in caught.value.sentence
    assert "below /media" in caught.value.hint


@pytest.mark.parametrize(
    "place",
    ["/media/usb/vaults", "/run/media/anna/usb", "/var/lib/hotsync/vault", "/srv/backup/vaults", "/var/tmp/x",
     "/homes"],
)  # fmt: skip
def test_elsewhere_it_may_lie_whether_it_is_there_or_not(paths: Paths, place: str) -> None:
    wanted = Path(f"{paths.root}{place}")
    assert checked_place(paths, wanted, PARTS, RULES) == wanted


def test_a_link_hides_nothing_and_is_not_needed_later(paths: Paths) -> None:
    (paths.root / "media/link").symlink_to(paths.root / "srv/share")
    (paths.root / "home/anna/link").symlink_to(paths.root / "media/usb")
    with pytest.raises(Refused, match="/srv/share leaves its place"):
        checked_place(paths, paths.root / "media/link/x", PARTS, RULES)
    found = checked_place(paths, paths.root / "home/anna/link/x", PARTS, RULES)
    assert found == paths.root / "media/usb/x"


def test_a_part_holds_none_whatever_the_rules_say_by_now(paths: Paths) -> None:
    with pytest.raises(Refused, match="/home leaves its place"):
        checked_place(paths, paths.root / "home/x", PARTS, Selection([Rule("/home", Action.EXCLUDE, "x", Voice.SITE)]))
