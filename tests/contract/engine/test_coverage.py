"""`hotsync coverage` with real processes, real files, dpkg's real lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.backends.package_files import read_all_files
from hotsync.cli.coverage import coverage_command
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.coverage import load_coverage
from hotsync.state.store import save_role
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

Start = Callable[[str], None]
OLD = 1_000_000_000


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


@pytest.fixture
def start() -> Iterator[Start]:
    """Run a Python program until the test ends; it says a line when it is ready."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> None:
        program += "\nprint('ready', flush=True)\nimport signal\nsignal.pause()"
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ask(*words: str) -> dict[str, dict[str, dict[str, object]]]:
    done = CliRunner().invoke(coverage_command, [*words, "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    document = json.loads(done.output)
    return {"found": {each.get("path", each.get("name")): each for each in document["unprotected"]}}


def plant(paths: Paths, path: str, content: str = "x") -> Path:
    file = paths.at(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_a_file_planted_in_an_unknown_place_is_told_and_so_is_the_unknown_program_that_writes_it(
    paths: Paths, start: Start
) -> None:
    file = plant(paths, "/data/app/orders.db", "12345")
    plant(paths, "/srv/carried")
    plant(paths, "/var/cache/app/x")
    start(f"file = open({str(file)!r}, 'ab')")
    found = ask()["found"]
    assert set(found) == {"/data"}
    assert (found["/data"]["kind"], found["/data"]["files"], found["/data"]["bytes"]) == ("data", 1, 5)
    assert "python" in str(found["/data"]["by"])


def test_a_file_that_only_an_open_handle_tells_of_is_told_a_deleted_or_read_one_is_not(
    paths: Paths, start: Start
) -> None:
    old, read, gone = (plant(paths, f"/data/{name}") for name in ("old", "read", "gone"))
    start(f"files = open({str(old)!r}, 'r+b'), open({str(read)!r}), open({str(gone)!r}, 'wb')")
    gone.unlink()
    # its ctime says that it changed just now: only a rule of the site keeps this quiet
    plant(paths, "/etc/backup-data.d/site.exclude", "/data/read\n")
    found = ask()["found"]
    assert set(found) == {"/data/old"}


def test_how_far_back_is_looked_can_be_said(paths: Paths) -> None:
    os.utime(plant(paths, "/data/x"), (OLD, OLD))  # which changes its ctime, as copying with old times does
    assert set(ask("--days", "1")["found"]) == {"/data"}
    assert set(ask("--days", "0")["found"]) == {"/data"}


def test_what_dpkg_brought_is_no_concern_and_what_lies_beside_it_is(paths: Paths) -> None:
    paths.at("/usr/bin").mkdir(parents=True)
    paths.at("/bin").symlink_to("usr/bin")
    info = paths.at("/var/lib/dpkg/info")
    info.mkdir(parents=True)
    (info / "tools.list").write_text("/.\n/bin\n/bin/tool\n/usr\n/usr/bin\n/usr/bin/other\n")
    paths.at("/var/lib/dpkg/diversions").write_text("/usr/bin/other\n/usr/bin/other.distrib\nbetter\n")
    for name in ("tool", "other", "other.distrib", "planted"):
        plant(paths, f"/usr/bin/{name}")
    assert set(ask()["found"]) == {"/usr/bin/planted"}


def test_dpkgs_real_lists_name_this_hosts_programs_as_they_lie() -> None:
    owned = read_all_files(Path("/"))
    for program in ("sh", "tar", "dpkg"):
        path = Path("/usr/bin", program)
        assert str(path) in owned or str(path.resolve()) in owned


def test_a_server_with_nothing_of_its_own_is_quiet(paths: Paths) -> None:
    done = CliRunner().invoke(coverage_command, [], standalone_mode=False)
    assert "Nothing is unprotected." in done.output
    assert done.return_value == (0 if os.geteuid() == 0 else 1)


def test_a_slave_without_a_generation_says_what_to_do(paths: Paths) -> None:
    save_role(paths, RoleRecord(Role.SLAVE, 1, None))
    done = CliRunner().invoke(coverage_command, ["--json"])
    assert done.exit_code == 3
    assert json.loads(done.output)["error"]["code"] == "refused.ready"


def test_what_was_found_is_kept_for_the_status_unless_another_time_was_asked_for(paths: Paths) -> None:
    plant(paths, "/data/x")
    ask("--days", "30")
    assert load_coverage(paths) is None
    done = CliRunner().invoke(coverage_command, ["--timer"], standalone_mode=False)
    assert done.output == "1 thing is not protected: hotsync coverage\n"
    found = load_coverage(paths)
    assert found is not None
    assert [finding.name for finding in found.findings] == ["/data"]
