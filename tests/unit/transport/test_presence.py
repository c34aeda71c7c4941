from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.errors import NotPaired, PeerSilent
from hotsync.system.paths import Paths
from hotsync.transport.presence import RARELY, Presence, PresenceBook, load_presence
from tests.fakes.clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    paths.state.mkdir(parents=True)
    return paths


def book(paths: Paths, clock: StillClock) -> PresenceBook:
    return PresenceBook(paths, clock, pytest.fail)


def test_nothing_is_known_at_first(paths: Paths) -> None:
    assert load_presence(paths) == Presence()


def test_what_the_peer_said_is_there_for_status(paths: Paths, clock: StillClock) -> None:
    book(paths, clock).seen(connected=True, host="master", epoch=3)
    known = load_presence(paths)
    assert (known.last_seen, known.connected, known.host, known.epoch) == (clock.time, True, "master", 3)


def test_the_last_refusal_and_the_last_trouble_are_kept_apart(paths: Paths, clock: StillClock) -> None:
    here = book(paths, clock)
    here.refused("10.0.0.9", NotPaired(address="10.0.0.9"))
    here.troubled("10.0.0.2", PeerSilent(seconds=5, phase="it was greeted"))
    known = load_presence(paths)
    assert known.refusal is not None
    assert known.trouble is not None
    assert (known.refusal.code, known.trouble.code) == ("peer.unpaired", "peer.silent")
    here.troubled("10.0.0.2", None)
    assert load_presence(paths).trouble is None


def test_a_refusal_is_over_once_that_address_is_served(paths: Paths, clock: StillClock) -> None:
    kept = book(paths, clock)
    kept.refused("10.77.0.1", NotPaired(address="10.77.0.1"))
    kept.served("10.77.0.9")
    assert load_presence(paths).refusal is not None
    kept.served("10.77.0.1")
    assert load_presence(paths).refusal is None


def test_a_restart_of_the_daemon_keeps_what_is_known_but_no_connection(paths: Paths, clock: StillClock) -> None:
    book(paths, clock).seen(connected=True, host="master")
    again = book(paths, clock)
    assert (again.current.connected, again.current.host) == (False, "master")


def test_a_daemon_that_was_killed_leaves_no_connection_behind(paths: Paths, clock: StillClock) -> None:
    book(paths, clock).seen(connected=True, host="master")
    book(paths, clock)
    assert load_presence(paths).connected is False


def test_the_difference_of_the_clocks_and_the_interval_survive_a_boot(paths: Paths, clock: StillClock) -> None:
    book(paths, clock).seen(clock_difference=-7.5, interval_minutes=60)
    (paths.run / "agent.json").unlink()
    known = load_presence(paths)
    assert (known.clock_difference, known.interval_minutes) == (-7.5, 60)


def test_a_document_of_before_the_interval_was_told_is_read(paths: Paths) -> None:
    (paths.state / "last-seen.json").write_text('{"schema":1,"last_seen":5.0,"clock_difference":1.0}')
    known = load_presence(paths)
    assert (known.last_seen, known.interval_minutes) == (5.0, 0)


def test_the_last_contact_is_written_where_it_survives_a_boot_but_rarely(paths: Paths, clock: StillClock) -> None:
    here = book(paths, clock)
    file = paths.state / "last-seen.json"
    here.seen()
    first = file.stat().st_ino
    for _ in range(10):
        clock.time += 10
        here.seen()
    assert file.stat().st_ino == first
    clock.time += RARELY
    here.seen()
    assert file.stat().st_ino != first
    (paths.run / "agent.json").unlink()
    assert load_presence(paths).last_seen == clock.time


def test_when_the_peer_goes_the_moment_is_written_at_once(paths: Paths, clock: StillClock) -> None:
    here = book(paths, clock)
    here.seen(connected=True)
    clock.time += 20
    here.seen()
    here.gone()
    (paths.run / "agent.json").unlink()
    assert load_presence(paths).last_seen == clock.time


def test_damaged_documents_count_as_nothing_known(paths: Paths) -> None:
    (paths.run / "agent.json").write_text("{")
    (paths.state / "last-seen.json").write_text("[]")
    assert load_presence(paths) == Presence()


def test_a_disk_that_cannot_be_written_is_complained_about_and_survived(paths: Paths, clock: StillClock) -> None:
    said: list[str] = []
    here = PresenceBook(paths, clock, said.append)
    (paths.run / "agent.json").unlink()
    paths.run.rmdir()
    here.seen()
    assert "cannot be written" in said[0]
    assert here.current.last_seen == clock.time
