from __future__ import annotations

import logging

import pytest

from hotsync.system import log


def test_a_name_of_any_bytes_reaches_the_log_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger("hotsync")
    before = (root.level, list(root.handlers))
    root.propagate = False  # a report with a half character in it cannot be sent between test processes
    try:
        log.set_up("hotsync", to_system_log=False)
        root.warning("%s vanished", "/srv/\udcff\x1b[2J")
    finally:
        root.level, root.handlers[:] = before
        root.propagate = True
    assert capsys.readouterr().err == "WARNING hotsync: /srv/\\udcff\\x1b[2J vanished\n"
