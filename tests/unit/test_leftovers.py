"""What is counted as left behind where several runs of the tests use one machine."""

from __future__ import annotations

from tests.support.leftovers import left_by_us

SHARED = (
    "mount /run/netns",
    "mount /var/cache/hotsync-lab/pool",
    "loop device loop0 of /var/cache/hotsync-lab/pool.img",
)
OURS = ("loop device loop2 of /labs/test-pair-41/slave.img", "network namespace hotsync-test-pair-41-slave")
THEIRS = ("loop device loop3 of /labs/test-pair-42/slave.img", "mount /run/netns/hotsync-test-pair-42-client")
OTHER = ("mount /tmp/x", "network interface dummy0")


def test_what_a_run_that_has_ended_left_is_counted_with_all_that_it_stood_on() -> None:
    found = (*SHARED, *OURS, *OTHER)
    assert left_by_us(found, lambda _: False) == sorted(found)


def test_the_labs_of_a_run_that_goes_on_are_not_and_neither_is_what_they_stand_on() -> None:
    found = (*SHARED, *OURS, *THEIRS, *OTHER)
    assert left_by_us(found, lambda process: process == "42") == sorted((*OURS, *OTHER))
