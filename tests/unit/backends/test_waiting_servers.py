"""The words that keep a waiting server, and the program that loads it, in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer, client_words
from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.paths import Paths

SERVER = WaitingServer(
    "postgresql@15-main", "root", ("/usr/bin/postgres", "-D", "/srv/my data"), (Path("/srv/my data"),),
    {"postgresql.conf": "port = 5432\n"}, stop_signal="SIGINT",
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    lines: list[list[str]] = []

    def run(argv: Sequence[str], **_: object) -> SimpleNamespace:
        lines.append(list(argv))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(command, "run", run)
    return lines


def test_a_server_is_stopped_first_and_started_in_its_sandbox(tmp_path: Path, asked: list[list[str]]) -> None:
    paths = Paths(tmp_path)
    before = os.umask(0o077)  # as of a run that the timer started
    try:
        waiting_servers.start(paths, SERVER)
    finally:
        os.umask(before)
    stop, start = asked
    assert stop == ["systemctl", "stop", "hotsync-warm-postgresql@15-main.service"]
    folder = paths.run / "warm/postgresql@15-main"
    writes = f'--property=ReadWritePaths="/srv/my data" "{folder}/socket"'
    wanted = {
        "--unit=hotsync-warm-postgresql@15-main.service", "--service-type=notify", "--property=User=root", writes,
        "--property=CapabilityBoundingSet=", "--property=PrivateNetwork=yes", "--property=ProtectSystem=strict",
        "--property=NoNewPrivileges=yes", "--property=KillSignal=SIGINT",
    }  # fmt: skip
    assert wanted <= set(start)
    assert "--property=Nice=10" in start
    assert start[start.index("--") + 1 :] == list(SERVER.argv)
    assert (folder / "postgresql.conf").read_text() == "port = 5432\n"
    made = (folder.parent, folder, folder / "socket", folder / "postgresql.conf")
    assert [oct(path.stat().st_mode)[-3:] for path in made] == ["755", "750", "700", "640"]
    waiting_servers.stop(paths, SERVER.name)
    assert not folder.exists()


def test_a_client_sees_the_dumps_and_ends_with_the_server() -> None:
    words = client_words("postgresql@15-main", "postgres", Path('/pins/a"b%c\\d'), {"HOME": "/var/lib/postgresql"})
    assert '--property=BindReadOnlyPaths="/pins/a\\"b%%c\\\\d"' in words
    assert "--property=BindsTo=hotsync-warm-postgresql@15-main.service" in words
    assert {"--setenv=HOME=/var/lib/postgresql", "--property=User=postgres", "--pipe", "--wait"} <= set(words)
    assert {"--property=PrivateNetwork=yes", "--property=ProtectSystem=strict"} <= set(words)
    assert not [word for word in words if word.startswith("--property=ReadWritePaths")]
    assert words[-1] == "--"


def test_what_makes_a_servers_files_is_confined_to_them_and_ends_whatever_happens(asked: list[list[str]]) -> None:
    name = "seed-postgresql@15-main"
    place = Path("/var/lib/postgresql/15/main.hotsync-seed")
    waiting_servers.run_tool(name, "postgres", place, {"PGREQUIREPEER": "root"}, ["pg_basebackup", "-x"])
    made, stopped = asked
    wanted = {
        f"--unit=hotsync-warm-{name}.service", "--property=User=postgres", "--setenv=PGREQUIREPEER=root", "--pipe",
        f'--property=ReadWritePaths="{place}"', "--property=CapabilityBoundingSet=", "--property=PrivateNetwork=yes",
        "--property=ProtectSystem=strict",
    }  # fmt: skip
    assert wanted <= set(made)
    assert made[made.index("--") + 1 :] == ["pg_basebackup", "-x"]
    assert stopped == ["systemctl", "stop", f"hotsync-warm-{name}.service"]


def test_its_failure_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str], **_: object) -> SimpleNamespace:
        if argv[0] == "systemd-run":
            raise command.failure(argv, 1, "pg_basebackup: error: the disk is full")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(CommandFailed, match=r"pg_basebackup failed .*the disk is full"):
        waiting_servers.run_tool("seed-x", "postgres", Path("/x"), {}, ["pg_basebackup"])


def test_what_a_server_said_is_that_of_its_present_run(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"show": "abc123\n", "is-active": "", "--quiet": "LOG:  it streams\n"}
    lines: list[list[str]] = []

    def run(argv: Sequence[str], **_: object) -> SimpleNamespace:
        lines.append(list(argv))
        return SimpleNamespace(returncode=0, text=answers[argv[1]])

    monkeypatch.setattr(command, "run", run)
    assert waiting_servers.is_active("postgresql@15-main")
    assert waiting_servers.said("postgresql@15-main") == "LOG:  it streams\n"
    assert lines[-1][-1] == "_SYSTEMD_INVOCATION_ID=abc123"
    answers["show"] = "\n"
    assert waiting_servers.said("postgresql@15-main") == ""


def test_a_server_that_must_keep_up_is_not_put_behind_everything_else(tmp_path: Path, asked: list[list[str]]) -> None:
    waiting_servers.start(Paths(tmp_path), replace(SERVER, in_background=False))
    assert not [word for word in asked[1] if "Nice" in word or "IOScheduling" in word]
