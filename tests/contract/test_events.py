"""`signal-event` with real executables and a real socket in the place of the system log."""

import json
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.system import command

pytestmark = pytest.mark.contract


class Server:
    """A root with a system log that remembers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev").mkdir()
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.bind(str(root / "dev/log"))
        self._heard: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        while line := self._log.recv(65536).decode():
            self._heard.append(line)

    def lines(self) -> list[str]:
        """Return what was logged; nothing is heard from then on."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.root / "dev/log"))
        self._listener.join()
        self._log.close()
        (self.root / "dev/log").unlink()
        return self._heard

    def action(self, event: str, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.root / f"etc/hotsync/events/{event}.d/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def run(self, program: str, *words: str) -> tuple[int, str, str]:
        module, function = {"signal-event": ("events", "signal_event"), "config": ("database", "config")}[program]
        code = f"from hotsync.cli.{module} import {function} as run; raise SystemExit(run())"
        done = command.run([sys.executable, "-c", code, *words], ok=range(256), env={"HOTSYNC_ROOT": str(self.root)})
        return done.returncode, done.text, done.errors


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as root:
        server = Server(Path(root))
        yield server
        if (server.root / "dev/log").exists():
            server.lines()


def plain(lines: list[str]) -> list[str]:
    """Return the lines without their heads and times."""
    heads = [re.fullmatch(r"<142>esmith::event\[\d+\]: (.*?)( \[\d+\.\d{6}\])?", line, re.DOTALL) for line in lines]
    return [head[1] for head in heads if head]


def test_actions_run_in_name_order_with_event_and_arguments_and_their_output_is_in_the_log(server: Server) -> None:
    second = server.action("mine", "S20", '#!/bin/sh\necho "two: $*"; echo "task $PTRACK_TASKID" >&2\n')
    first = server.action("mine", "S10", '#!/bin/sh\nprintf "one"\n')
    server.action("mine", "S15", "#!/bin/sh\n", mode=0o644)
    assert server.run("signal-event", "mine", "a b", "c") == (0, "", "")
    assert plain(server.lines()) == [
        "Skipping non-executable event-handler S15",
        "Event: mine a b c",
        "one",
        f"Action: {first} SUCCESS",
        "two: mine a b c",
        "task 2",
        f"Action: {second} SUCCESS",
        "Event: mine SUCCESS",
    ]


def test_all_actions_run_when_one_fails_and_the_event_fails(server: Server) -> None:
    failing = server.action("mine", "S10", "#!/bin/sh\nexit 7\n")
    killed = server.action("mine", "S20", "#!/bin/sh\nkill -9 $$\n")
    broken = server.action("mine", "S30", "#!/no/such/program\n")
    last = server.action("mine", "S40", "#!/bin/sh\n")
    status, out, errors = server.run("signal-event", "mine")
    assert (status, out) == (1, "")
    assert f"Action: {failing} FAILED: 7" in errors
    said = plain(server.lines())
    assert f"Action: {failing} FAILED: 7" in said
    assert f"Action: {killed} FAILED: 9" in said
    assert f"Action: {broken} FAILED: 127" in said
    assert said[-2:] == [f"Action: {last} SUCCESS", "Event: mine FAILED"]


def test_json_is_one_object_a_step_with_the_status_as_wait_has_it(server: Server) -> None:
    action = server.action("mine", "S10", "#!/bin/sh\nexit 7\n")
    status, out, _errors = server.run("signal-event", "--json", "mine", "x")
    steps = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert all(step["event"] == "mine" and isinstance(step["pid"], int) for step in steps)
    assert (steps[0]["args"], steps[0]["steps"]) == ("x", 1)
    assert (steps[1]["action"], steps[1]["state"]) == (str(action), "running")
    assert (steps[2]["state"], steps[2]["exit"], steps[2]["progress"]) == ("done", 7 << 8, "1.00")
    assert steps[3]["status"] == "failed"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 255, "usage:"),
        (["--json"], 255, "usage:"),
        ([""], 255, "usage:"),
        (["no-such-event"], 2, 'no event "no-such-event"'),
        (["../../x"], 2, "no event"),
        (["actions"], 1, "not a valid event name"),
    ],
)
def test_what_cannot_be_signalled_has_the_originals_exit_code(
    server: Server, words: list[str], status: int, said: str
) -> None:
    code, out, errors = server.run("signal-event", *words)
    assert (code, out) == (status, "")
    assert said in errors
    assert server.lines() == []


def test_help_names_the_events_of_hotsync_itself(server: Server) -> None:
    status, out, errors = server.run("signal-event", "--help")
    assert (status, errors) == (0, "")
    assert "nethserver-hotsync-save" in out


def test_a_wrong_configuration_fails_the_save_with_every_fault_and_the_password_is_in_no_log(server: Server) -> None:
    from hotsync.state.configdb import ensure_records
    from hotsync.system.paths import Paths

    ensure_records(Paths(server.root))
    server.run("config", "setprop", "rsyncd", "password", "geheim")
    server.run("config", "setprop", "hotsync", "role", "master", "SlavePort", "x")
    status, _out, errors = server.run("signal-event", "nethserver-hotsync-save")
    assert status == 1
    for prop in ("hotsync SlaveHost", "hotsync SlavePort"):
        assert f"config setprop {prop} " in errors
    lines = server.lines()
    assert "Action: hotsync:nethserver-hotsync-save FAILED: 2" in plain(lines)
    assert any(
        re.search(r"<142>\w+ +\d+ [\d:]+ config\[\d+\]: .*: NEW rsyncd=.*password\|\*\*\*\|", line) for line in lines
    )
    assert not any("geheim" in line for line in lines)
    assert not Paths(server.root).role_file.exists()


def make_a_nethserver(server: Server) -> None:
    """Give the root NethServer's release file and a `signal-event` of its own."""
    (server.root / "etc").mkdir(exist_ok=True)
    (server.root / "etc/nethserver-release").write_text("NethServer release 7.9.2009 (final)\n")
    theirs = server.root / "sbin/e-smith/signal-event"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('#!/bin/sh\necho "theirs: $*"\nexit 3\n')
    theirs.chmod(0o755)


@pytest.mark.parametrize("words", [("interface-update",), ("--json", "post-restore-data", "a b"), ("",), ()])
def test_on_nethserver_its_own_signal_event_answers_with_its_output_and_status(
    server: Server, words: tuple[str, ...]
) -> None:
    make_a_nethserver(server)
    assert server.run("signal-event", *words) == (3, f"theirs: {' '.join(words)}\n", "")
    assert server.lines() == []


def test_its_event_folder_reaches_hotsyncs_action_by_the_word_own(server: Server) -> None:
    make_a_nethserver(server)
    action = server.action("mine", "S10", "#!/bin/sh\n")
    assert server.run("signal-event", "--own", "mine", "x") == (0, "", "")
    assert plain(server.lines()) == ["Event: mine x", f"Action: {action} SUCCESS", "Event: mine SUCCESS"]
