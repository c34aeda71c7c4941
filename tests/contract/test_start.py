"""`config`, `db` and `signal-event` are called by scripts, often: they start without what they do not need."""

import sys

import pytest

from hotsync.system import command

pytestmark = pytest.mark.contract

HEAVY = {"pydantic", "click", "rich", "logging", "subprocess", "asyncio", "cryptography", "ssl", "sqlite3"}


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(command.run([sys.executable, "-c", code]).text.split())


def test_config_and_db_load_nothing_heavy() -> None:
    assert not loaded("hotsync.cli.database") & HEAVY


def test_signal_event_loads_the_settings_only_for_an_event_that_needs_them() -> None:
    assert not loaded("hotsync.cli.events") & (HEAVY - {"subprocess"})
