"""Many processes at once on one database, and writers killed in the middle: real processes, real files."""

import random
import re
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hotsync.config import esmith
from hotsync.state.configdb import ConfigDb, ensure_records
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

WRITERS = 8
ROUNDS = 12
KILLS = 40
LOOP = """
import sys
from pathlib import Path
from hotsync.state.configdb import ConfigDb
db = ConfigDb(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(1_000_000):
    db.set_props("a", {"number": str(number), "long": str(number % 10) * 200_000})
"""


def config(root: Path, *words: str) -> str:
    program = [sys.executable, "-c", "from hotsync.cli.database import config; raise SystemExit(config())", *words]
    return command.run(program, env={"HOTSYNC_ROOT": str(root)}).text


@pytest.mark.timeout(1200)
def test_no_change_is_lost_and_nothing_is_half_when_many_processes_set_props_at_once(
    tmp_path: Path, times: int
) -> None:
    rounds = ROUNDS * times
    ensure_records(Paths(tmp_path))
    file = Paths(tmp_path).configuration
    config(tmp_path, "set", "many", "t")

    def write(writer: int) -> None:
        for number in range(rounds):
            config(tmp_path, "setprop", "many", f"w{writer}-{number}", "x" * 500, f"last{writer}", str(number))

    def watch() -> int:
        seen = 0
        while not finished:
            document = esmith.parse_document(file.read_bytes())
            assert {"hotsync", "rsyncd", "stunnel", "many"} <= set(document)
            props = esmith.parse_value(document["many"] or "").props
            assert all(value is not None for value in props.values())
            for writer in range(WRITERS):  # both props of one command appear together
                last = props.get(f"last{writer}")
                assert last is None or f"w{writer}-{last}" in props
            seen += 1
        return seen

    finished = False
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        watcher = pool.submit(watch)
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            finished = True
        assert watcher.result() > 0
    shown = config(tmp_path, "printprop", "many").splitlines()
    assert len(shown) == WRITERS * rounds + WRITERS
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["configuration", "configuration.lock"]


@pytest.mark.timeout(1200)
def test_a_writer_killed_at_any_moment_leaves_a_whole_file_that_can_be_written_again(
    tmp_path: Path, dice: random.Random, times: int
) -> None:
    file = tmp_path / "database"
    db = ConfigDb(file)
    db.update(lambda document: document.update({"a": "t", "b": "t|kept|1"}))
    for _ in range(KILLS * times):
        with command.spawn([sys.executable, "-c", LOOP, str(file)]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(command.TimeoutExpired):
                process.wait(timeout=dice.uniform(0.001, 0.06))
            process.kill()
        document = esmith.parse_document(file.read_bytes())
        assert set(document) == {"a", "b"}
        assert document["b"] == "t|kept|1"
        props = esmith.parse_value(document["a"] or "").props
        if props:
            assert props["long"] == str(int(props["number"] or "0") % 10) * 200_000
        assert db.set_props("b", {"kept": "1"})
    assert db.set_props("a", {"number": "-1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["database", "database.lock"]


def test_the_process_that_has_a_password_in_its_command_line_does_not_speak_to_the_log(tmp_path: Path) -> None:
    """The journal keeps the command line of whoever sends a line (_CMDLINE)."""
    ensure_records(Paths(tmp_path))
    (tmp_path / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        log.settimeout(20)
        log.bind(str(tmp_path / "dev/log"))
        code = "from hotsync.cli.database import config; raise SystemExit(config())"
        words = [sys.executable, "-c", code, "setprop", "rsyncd", "password", "geheim"]
        with command.spawn(words, env={"HOTSYNC_ROOT": str(tmp_path)}) as process:
            heard = [log.recvmsg(65536, socket.CMSG_SPACE(12)) for _ in range(2)]
            assert process.wait(20) == 0
    for text, credentials, _, _ in heard:
        sender = struct.unpack("3i", credentials[0][2])[0]
        assert sender != process.pid
        assert re.search(rb"^<142>.*config\[\d+\]: .*(OLD|NEW) rsyncd=", text)
        assert b"geheim" not in text
    assert b"password|***" in heard[1][0]
