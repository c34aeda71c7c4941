"""The runbook is made of what a promotion would do now, of both networks, and of the administrator's phone book."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hotsync.errors import Refused
from hotsync.flows import runbook as flow
from hotsync.flows.runbook import make_runbook, show_runbook
from hotsync.model.facts import AddressFact, InterfaceFact, NetworkFacts
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.steps.network import ActivateNetwork, HoldClients
from hotsync.system.paths import Paths

HERE = NetworkFacts(
    "beta",
    (
        InterfaceFact("lo", addresses=(AddressFact("127.0.0.1", 8),)),
        InterfaceFact("ens18", "52:54:00:00:00:02", addresses=(AddressFact("10.0.0.2", 24),)),
        InterfaceFact("veth7", kind="veth"),
    ),
)
PLAN = NetworkPlan(
    NetworkChoice.MASTERS, "alpha", (Address("eth0", "10.0.0.1", 24),), (Address("eth0", "10.0.0.254", 32),)
)
BAD = Check("x", "a card is missing", Verdict.AMBER, "eth0 is not here", "Map it.")
GOOD = Check("y", "its disks are large enough", Verdict.GREEN)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(flow, "read_network", lambda _: HERE)
    places = Paths(tmp_path)
    places.state.mkdir(parents=True)
    (places.replica / "tree/etc/hotsync").mkdir(parents=True)
    places.phone_book.parent.mkdir(parents=True)
    return places


def made(paths: Paths) -> str:
    promotion = Promotion(1, 41, "", 1e9, 1e9, 1e9, PLAN, ())
    seen: Any = SimpleNamespace(promotion=promotion, plan=(HoldClients(), ActivateNetwork()), seconds=30.0)
    make_runbook(paths, seen, (BAD, GOOD), 1e9)
    return show_runbook(paths)


def test_a_server_without_a_runbook_says_where_it_comes_from(paths: Paths) -> None:
    with pytest.raises(Refused, match="no runbook") as refused:
        show_runbook(paths)
    assert "hotsync-slave" in refused.value.hint


def test_it_has_what_a_promotion_would_do_now_and_only_what_is_not_in_order(paths: Paths) -> None:
    page = made(paths)
    for said in ("10.0.0.1/24 on eth0", "10.0.0.254 on eth0", "ens18", "generation 41", "eth0 is not here"):
        assert said in page, said
    for not_said in ("veth7", "127.0.0.1", "large enough"):
        assert not_said not in page, not_said
    assert paths.runbook.stat().st_mode & 0o777 == 0o600


def test_the_masters_phone_book_goes_before_this_servers_own_and_comments_are_left_out(paths: Paths) -> None:
    paths.phone_book.write_text("# whom to call\nBert: 5678\n")
    assert "Bert: 5678" in made(paths)
    assert "whom to call" not in made(paths)
    (paths.replica / "tree/etc/hotsync/phone-book").write_text("Anna: 1234\n\n" + "x" * 500 + "\n")
    page = made(paths)
    assert "Anna: 1234" in page
    assert "Bert" not in page
    assert "x" * 71 not in page


def test_a_phone_book_that_is_a_link_out_of_the_replica_is_not_followed(paths: Paths) -> None:
    secret = paths.root / "secret"
    secret.write_text("the key\n")
    (paths.replica / "tree/etc/hotsync/phone-book").symlink_to(secret)
    assert "the key" not in made(paths)
