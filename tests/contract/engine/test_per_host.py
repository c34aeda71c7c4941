"""What belongs to one machine, on real trees: never carried from here, never taken there; and what comes at the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.changes.walk import Walk
from hotsync.engine.listing import kept_paths
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.model.per_host import AT_PROMOTION, PER_HOST
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.selection import Selection
from hotsync.profiles.catalog import shipped
from hotsync.profiles.resolve import resolve
from hotsync.state import promotion as document
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


def named(groups: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    return [path.replace("*", "x").lstrip("/") for _, listed in groups for path in listed]


EVERY = [*named(PER_HOST), *named(AT_PROMOTION), "var/lib/hotsync/spool"]


def examples(groups: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    """Return a file for each path of a list, below the root; in it where another path of the lists is inside."""
    return [f"{path}/any" if any(other.startswith(f"{path}/") for other in EVERY) else path for path in named(groups)]


NEVER = examples(PER_HOST)
LATER = examples(AT_PROMOTION)


def put(root: Path, paths: list[str], text: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def rules() -> Selection:
    return resolve(list(shipped().values()), [("/", "ext4")], [], lambda pattern: [pattern])


def test_a_walk_over_a_master_never_meets_what_belongs_to_one_machine_and_meets_the_rest(tmp_path: Path) -> None:
    put(tmp_path, [*NEVER, *LATER, "var/lib/dhcp/dhcpd.leases", "var/lib/hotsync/spool/dump"], "the MASTER's")
    walk = Walk(tmp_path, rules(), frozenset(), {}, lambda _remark: None)
    met = {stamp[0].replace(b"\0", b"/").decode() for stamp in walk if isinstance(stamp, tuple)}
    assert met & set(NEVER) == set()
    assert {*LATER, "var/lib/dhcp/dhcpd.leases", "var/lib/hotsync/spool/dump"} <= met


def test_a_promotion_takes_none_of_it_even_from_a_replica_that_has_it_and_all_of_the_other_list(tmp_path: Path) -> None:
    never = [path for path in NEVER if path.startswith("etc/")]
    accounts = ["etc/passwd", "etc/shadow", "etc/group", "etc/gshadow"]  # merged, and tested as that
    later = [path for path in LATER if path.startswith("etc/") and path not in accounts]
    paths = Paths(tmp_path)
    tree = paths.replica / "tree"
    put(tmp_path, [*never, *later], "the SLAVE's")
    put(tree, [*never, *later], "the MASTER's")
    put(tmp_path, accounts, "")
    own = OwnEtc(kept_paths(rules().rules, tmp_path), frozenset())
    etc = PreparedEtc(paths, lambda: own, lambda _etc, _promotion: {})
    document.save_promotion(paths, Promotion(1, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    for step in (etc.prepare, lambda now: etc.exchange(now, tmp_path / "aside")):
        assert {(tmp_path / path).read_text() for path in later} == {"the SLAVE's"}, "not before the exchange"
        promotion = document.load_promotion(paths)
        assert promotion is not None
        step(promotion)
    assert {path for path in never if (tmp_path / path).read_text() != "the SLAVE's"} == set()
    assert {path for path in later if (tmp_path / path).read_text() != "the MASTER's"} == set()
    assert os.path.lexists(tmp_path / "aside/etc")
