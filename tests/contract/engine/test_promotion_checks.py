"""The checks at the end of a promotion: what cannot be asked is red, and stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.host import PromotionChecks
from hotsync.errors import ConfigError, SourceError
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.profiles.schema import CheckSpec, HttpCheck, MariadbCheck, PostgresqlCheck
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import source as postgresql
from hotsync.state import promotion as document
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract
PROMOTION = Promotion(3, 5, "d" * 64, 100.0, 90.0, 95.0, NetworkPlan(NetworkChoice.KEEP), ())


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.05))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Hasty(SystemClock):
    """A clock that nobody waits for."""

    def sleep(self, seconds: float) -> None:
        del seconds


@dataclass
class World:
    paths: Paths
    specs: dict[str, CheckSpec] = field(default_factory=dict[str, CheckSpec])

    def ask(self, name: str) -> Check:
        document.save_promotion(self.paths, PROMOTION)
        PromotionChecks(self.paths, cast("Ground", SimpleNamespace(checks=self.specs)), Hasty()).run(name)
        promotion = document.load_promotion(self.paths)
        assert promotion is not None
        (check,) = promotion.checks
        return check


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host whose database servers cannot be found out."""

    def ill(context: object) -> object:
        raise SourceError(dataset="mariadb", reason="the servers cannot be found")

    monkeypatch.setattr(mariadb, "inspect", ill)
    monkeypatch.setattr(postgresql, "inspect", ill)
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return World(paths)


def test_a_check_of_a_web_server_asks_no_database_server(world: World, port: int) -> None:
    world.specs["web"] = HttpCheck(kind="http", title="the web answers", url=f"http://127.0.0.1:{port}/")
    assert world.ask("web").verdict is Verdict.GREEN


def test_servers_that_cannot_be_found_out_make_their_own_check_red(world: World) -> None:
    world.specs["m"] = MariadbCheck(kind="mariadb", title="databases answer")
    world.specs["p"] = PostgresqlCheck(kind="postgresql", title="clusters answer")
    for name in ("m", "p"):
        check = world.ask(name)
        assert check.verdict is Verdict.RED
        assert "the servers cannot be found" in check.detail
        assert check.title == world.specs[name].title


def test_what_keeps_a_check_from_being_asked_at_all_makes_it_red(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(paths: Paths) -> object:
        raise ConfigError(document="configdb", faults="CheckUser is none")

    monkeypatch.setattr(promotion_host, "read_settings", broken)
    world.specs["web"] = HttpCheck(kind="http", title="the web answers", url="http://127.0.0.1:1/")
    check = world.ask("web")
    assert (check.verdict, check.title) == (Verdict.RED, "the web answers")
    assert "CheckUser is none" in check.detail
