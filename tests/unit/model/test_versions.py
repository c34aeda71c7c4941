"""Versions in the order of Debian and of RPM."""

from __future__ import annotations

import pytest

from hotsync.model.packages.versions import compare_debian, compare_rpm


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("1.0", "1.0", 0),
        ("1.0", "1.1", -1),
        ("1.0~rc1", "1.0", -1),
        ("1.0-1", "1.0-1+b1", -1),
        ("1:0.1", "9", 1),
        ("2.36-9+deb12u10", "2.36-9+deb12u4", 1),
        ("10.11.6-0+deb12u1", "10.11.14-0+deb12u2", -1),
        ("1.0a", "1.0+", -1),
        ("0:1", "1", 0),
        ("1.00", "1.0", 0),
    ],
)
def test_versions_are_ordered_as_debian_orders_them(left: str, right: str, order: int) -> None:
    assert compare_debian(left, right) == order
    assert compare_debian(right, left) == -order


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("1.0-1.el9", "1.0-1.el9", 0),
        ("1.0-1.el9", "1.0-2.el9", -1),
        ("1:0.1-1", "9-1", 1),
        ("0:1-1", "1-1", 0),
        ("1.0~rc1-1", "1.0-1", -1),
        ("1.0^git1-1", "1.0-1", 1),
        ("1.0^git1-1", "1.0.1-1", -1),
        ("1.10-1", "1.9-1", 1),
        ("1.a-1", "1.1-1", -1),
        ("1.0a-1", "1.0-1", 1),
        ("2.00-1", "2.0-1", 0),
        ("1_0-1", "1.0-1", 0),
        ("5.14.0-70.13.1.el9_0", "5.14.0-70.22.1.el9_0", -1),
    ],
)
def test_versions_are_ordered_as_rpm_orders_them(left: str, right: str, order: int) -> None:
    assert compare_rpm(left, right) == order
    assert compare_rpm(right, left) == -order


@pytest.mark.parametrize("version", ["²:1.0-1", "1" * 5000 + "-1", "9" * 5000 + ":1-1"])
def test_a_version_that_nobody_writes_is_ordered_somehow(version: str) -> None:
    for compare in (compare_debian, compare_rpm):
        assert compare(version, version) == 0
        assert compare(version, "1.0-1") == -compare("1.0-1", version)
