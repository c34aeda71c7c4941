"""The words that keep a waiting server, and the program that loads it, in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer, client_words
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
    waiting_servers.start(paths, SERVER)
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
    assert start[start.index("--") + 1 :] == list(SERVER.argv)
    assert (folder / "postgresql.conf").read_text() == "port = 5432\n"
    assert [oct(path.stat().st_mode)[-3:] for path in (folder, folder / "socket", folder / "postgresql.conf")] == [
        "750", "700", "640",
    ]  # fmt: skip
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
