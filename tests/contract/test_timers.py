"""systemd itself reads the calendar expressions that we write."""

import shutil

import pytest

from hotsync.backends.timers import FIRST, render_calendar
from hotsync.system import command

pytestmark = pytest.mark.contract


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("every", [1, 2, 5, 7, 15, 25, 30, 45, 60, 61, 90, 120, 360, 720, 1000, 1440])
def test_systemd_takes_every_interval(every: int) -> None:
    for first in FIRST.values():
        command.run(["systemd-analyze", "calendar", *render_calendar(every, first)])
