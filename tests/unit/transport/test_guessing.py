from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import PairingSlowed, PeerBusy
from hotsync.model.secret import Secret
from hotsync.system.paths import Paths
from hotsync.transport.guessing import FIRST_DELAY, LONGEST_DELAY, LONGEST_WINDOW, Attempts, Guard, wait_of
from tests.fakes.clock import StillClock

PASSWORD = Secret("correct horse")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def seconds_to_wait(guard: Guard) -> float:
    try:
        guard.check(PASSWORD, "a")
    except PairingSlowed as slowed:
        return float(str(slowed.facts["seconds"]))
    return 0


def test_the_wait_doubles_and_has_an_end(paths: Paths, clock: StillClock) -> None:
    waits: list[float] = []
    for _ in range(12):
        guard = Guard(paths, clock)  # anew each time: as after a restart
        guard.count(PASSWORD)
        waits.append(seconds_to_wait(guard))
        clock.time += waits[-1]
        assert seconds_to_wait(guard) == 0
    assert waits[:5] == [5, 10, 20, 40, 80]
    assert waits[-1] == LONGEST_DELAY


def test_success_forgets_what_failed(paths: Paths, clock: StillClock) -> None:
    guard = Guard(paths, clock)
    guard.count(PASSWORD)
    guard.forget()
    guard.forget()
    assert seconds_to_wait(guard) == 0


def test_a_new_password_on_this_server_starts_anew_and_the_old_one_does_not(paths: Paths, clock: StillClock) -> None:
    guard = Guard(paths, clock)
    guard.count(PASSWORD)
    guard.check(Secret("another"), "a")
    assert seconds_to_wait(guard) > 0


def test_the_password_is_not_in_the_file(paths: Paths, clock: StillClock) -> None:
    Guard(paths, clock).count(PASSWORD)
    file = paths.state / "pairing.json"
    assert b"correct" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"failures": "many"}'])
def test_a_damaged_record_means_a_wait_that_ends(paths: Paths, clock: StillClock, text: str) -> None:
    guard = Guard(paths, clock)
    paths.state.mkdir(parents=True)
    (paths.state / "pairing.json").write_text(text)
    seconds = seconds_to_wait(guard)
    assert seconds > FIRST_DELAY
    clock.time += seconds
    assert seconds_to_wait(guard) == 0


def test_in_a_window_the_next_attempt_comes_at_once_and_later_ones_are_slowed_anew(
    paths: Paths, clock: StillClock
) -> None:
    guard = failed(paths, clock, 6)
    guard.open_window(10)
    assert seconds_to_wait(guard) == 0
    guard.count(PASSWORD)
    assert seconds_to_wait(Guard(paths, clock)) == FIRST_DELAY


def test_after_a_window_pairing_goes_on_as_before_it_and_all_guesses_count(paths: Paths, clock: StillClock) -> None:
    guard = failed(paths, clock, 3)
    guard.open_window(10)
    clock.time += 590
    guard.count(PASSWORD)
    assert seconds_to_wait(guard) == FIRST_DELAY
    clock.time += 11
    assert seconds_to_wait(guard) == FIRST_DELAY * 2**3 - 11
    clock.time += FIRST_DELAY * 2**3
    assert seconds_to_wait(guard) == 0
    guard.open_window(10)  # a second one forgets nothing of the first
    clock.time += 601
    guard.count(PASSWORD)
    assert seconds_to_wait(guard) == FIRST_DELAY * 2**4


def test_a_window_that_nobody_used_costs_nothing(paths: Paths, clock: StillClock) -> None:
    guard = Guard(paths, clock)
    guard.open_window(10)
    clock.time += 601
    guard.check(PASSWORD, "a")
    guard.count(PASSWORD)
    assert seconds_to_wait(guard) == FIRST_DELAY


def test_a_new_password_ends_the_count_of_before_a_window_too(paths: Paths, clock: StillClock) -> None:
    guard = failed(paths, clock, 6)
    guard.open_window(10)
    guard.count(Secret("another"))
    clock.time += 601
    guard.check(Secret("another"), "a")


def test_a_clock_set_back_does_not_keep_a_window_open(paths: Paths, clock: StillClock) -> None:
    guard = failed(paths, clock, 6)
    guard.open_window(10)
    clock.time -= 10 * LONGEST_WINDOW
    assert seconds_to_wait(guard) == FIRST_DELAY * 2**5


def failed(paths: Paths, clock: StillClock, times: int) -> Guard:
    guard = Guard(paths, clock)
    for _ in range(times):
        guard.count(PASSWORD)
    return guard


def test_attempts_come_one_at_a_time(paths: Paths, clock: StillClock) -> None:
    with Guard(paths, clock).alone(), pytest.raises(PeerBusy), Guard(paths, clock).alone():
        pass


@given(st.integers(0, 10**6), st.floats(0, 1e10), st.floats(-1e10, 1e10))
def test_no_clock_makes_the_wait_longer_than_the_longest(failures: int, last_at: float, jump: float) -> None:
    assert 0 <= wait_of(Attempts(failures=failures, last_at=last_at), last_at + jump) <= LONGEST_DELAY
