"""Who owns files of the MASTER without an account there: looked up once a generation, and never by a promotion."""

from __future__ import annotations

from pathlib import Path

from hotsync.engine.promotion.accounts import PromotionAccounts
from hotsync.engine.slave.foreign import read_foreign
from hotsync.manifest.store import Manifest
from hotsync.model.accounts.moves import Account
from hotsync.model.accounts.numbers import Foreign
from hotsync.model.entry import Entry, Kind
from hotsync.system.paths import Paths


def entry(path: str, uid: int, gid: int) -> Entry:
    return Entry(path, Kind.FILE, 0o644, uid, gid, 0, 1, 1, 1, 1, 1)


def hold(paths: Paths, generation: int, *entries: Entry) -> None:
    with Manifest(paths.manifest) as manifest:
        manifest.replace(entries, generation, f"digest {generation}")


def test_the_manifest_is_read_once_a_generation_and_a_promotion_takes_what_is_known(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    etc = paths.replica / "tree/etc"
    (etc / "samba").mkdir(parents=True)
    (etc / "passwd").write_text("mail:x:200:200::/:/bin/false\n")
    (etc / "group").write_text("mail:x:200:\n")
    users, groups = {"mail": Account("mail", 200, 200)}, {"mail": Account("mail", 200)}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("max:x:1000:1000::/home/max:/bin/sh\nmail:x:200:200::/:/bin/false\n")
    (tmp_path / "etc/group").write_text("max:x:1000:\nmail:x:200:\n")

    hold(paths, 1, entry("a", 200, 1000), entry("b", 5000, 200))
    assert read_foreign(paths, users, groups, look=False) == Foreign()
    assert not PromotionAccounts(paths).differ
    assert read_foreign(paths, users, groups, look=True) == Foreign((range(5000, 5001),), (range(1000, 1001),))
    assert PromotionAccounts(paths).differ, "the group max has to move"

    hold(paths, 2, entry("a", 200, 200))
    assert PromotionAccounts(paths).differ
    (etc / "samba/smb.conf").write_text("idmap config * : range = 7000-7001\n")
    assert read_foreign(paths, users, groups, look=True) == Foreign((range(7000, 7002),), (range(7000, 7002),))
    assert not PromotionAccounts(paths).differ
    (paths.state / "owners.json").write_text("{")
    assert read_foreign(paths, users, groups, look=True) == Foreign((range(7000, 7002),), (range(7000, 7002),))
