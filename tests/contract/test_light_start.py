"""What a command loads: a quarter of the cost of "nothing changed" was programs' parts that it never uses."""

from __future__ import annotations

import json
import sys

import pytest

from hotsync.cli.main import hotsync
from hotsync.system import command

pytestmark = pytest.mark.contract

NEVER_NEEDED = (
    "rich.console", "spake2", "hotsync.flows.status", "hotsync.replica.store", "psycopg", "pymysql",
    "cryptography.x509",
)  # fmt: skip


def loaded_with(modules: str) -> set[str]:
    code = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(command.run([sys.executable, "-c", code]).text))


def test_a_run_loads_nothing_that_only_other_commands_need() -> None:
    loaded = loaded_with("hotsync.cli.main, hotsync.cli.sync")
    assert "hotsync.engine.sync.host" in loaded
    assert [name for name in NEVER_NEEDED if name in loaded] == []


def test_the_status_loads_nothing_of_a_run_or_of_a_promotion() -> None:
    loaded = loaded_with("hotsync.cli.main, hotsync.cli.look")
    assert "hotsync.flows.status" in loaded
    of_others = ("hotsync.engine.sync.host", "hotsync.engine.promotion.ground", "hotsync.engine.fence.tiers")
    assert [name for name in of_others if name in loaded] == []


def test_other_commands_and_the_shell_that_completes_them_load_nothing_of_a_run() -> None:
    loaded = loaded_with("hotsync.cli.main")
    assert "hotsync.cli.door" in loaded
    assert not {name for name in loaded if name.startswith(("hotsync.engine", "hotsync.sources", "hotsync.transport"))}


def test_every_other_command_is_there_when_it_is_wanted() -> None:
    names = list(hotsync.commands)
    assert {"status", "pair", "history", "restore"} <= set(names)
    assert [hotsync.commands[name].name for name in names] == names
