"""The rings of tests keep their word: order, seed, skips, the watch over unit tests, going on, counting, leaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import lanes

pytestmark = pytest.mark.contract

PROJECT = Path(__file__).resolve().parents[2]
QUIET = ["-p", "no:cacheprovider", "-q"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a small project that is tested the way ours is."""
    tests = tmp_path / "tests"
    shutil.copytree(PROJECT / "tests/support", tests / "support", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests/conftest.py", "tests/skips.txt", "tests/unit/conftest.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / ".gitignore").write_text("__pycache__/\n.hypothesis/\nbuild/\n")
    return tmp_path


def write(project: Path, path: str, text: str) -> None:
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(text)


def checked(project: Path, *words: str, ci: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the small project's tests as script/test does."""
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "HOTSYNC_COUNTS"}}
    line = [sys.executable, str(PROJECT / "script/lib/run_tests.py"), *QUIET, *words]
    env |= more | ({"CI": "true"} if ci else {})
    return subprocess.run(line, cwd=project, env=env, capture_output=True, text=True, check=False)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def left_processes(project: Path) -> int:
    """Return how many processes the table says were left; others who use the machine may add mounts and the like."""
    page = (project / "docs/second-ring.md").read_text()
    assert "| 1 | 1 | 0 | 0 |" in page
    return page.count("- left behind: `process ")


def commit(project: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=project, check=True)


def test_the_cheap_tests_come_first(project: Path) -> None:
    for folder in ("packaging", "lab", "unit", "lint"):
        write(project, f"tests/{folder}/test_{folder}.py", "def test_it() -> None: ...\n")
    done = checked(project, "--ring=1", "-v")
    seen = [line.split("/")[1] for line in done.stdout.splitlines() if line.startswith("tests/")]
    assert seen == ["lint", "unit", "packaging", "lab"]
    assert last_line(done) == "4 passed, 0 failed, 0 skipped"


def test_two_workers_share_the_work_and_what_measures_instants_does_not_meet(project: Path) -> None:
    who = (
        "import os\ndef test_it() -> None:\n    with open('who', 'a') as file:\n"
        "        file.write('NAME ' + os.environ['PYTEST_XDIST_WORKER'] + ' ')\n"
    )
    names = ("lab/test_kills", "lab/test_bank", "unit/test_c", "contract/test_d")
    for name in names:
        write(project, f"tests/{name}.py", who.replace("NAME", name))
    done = checked(project, "--ring=1", "-n", "2")
    assert last_line(done) == "4 passed, 0 failed, 0 skipped"
    words = (project / "who").read_text().split()
    worker = dict(zip(words[::2], words[1::2], strict=True))
    assert worker.keys() == set(names)
    assert worker["lab/test_kills"] == worker["lab/test_bank"]
    assert len(set(worker.values())) == 2


def test_what_is_alone_comes_first_and_every_other_file_has_a_lane_of_its_own() -> None:
    for path in lanes.ALONE:
        assert (PROJECT / path).is_file()
        assert lanes.lane(f"{path}::test_it") == "alone"
    for path in lanes.PAUSING:
        assert (PROJECT / path).is_file()
        assert lanes.lane(f"{path}::test_it") == "pausing"
    assert lanes.lane("tests/lab/test_demo.py::test_it") == "tests/lab/test_demo.py"
    files = ("tests/unit/test_a.py", "tests/contract/test_b.py", *reversed(lanes.ALONE), "tests/lab/test_demo.py")
    ordered = [files[place] for place in lanes.by_lane([f"{path}::test_it" for path in files])]
    assert ordered == [*lanes.ALONE, "tests/unit/test_a.py", "tests/lab/test_demo.py", "tests/contract/test_b.py"]


@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_the_seed_is_printed_and_may_be_given_again(project: Path, words: list[str]) -> None:
    body = (
        "def test_it(dice) -> None:\n    with open('thrown', 'a') as file:\n        print(dice.random(), file=file)\n"
    )
    write(project, "tests/unit/test_dice.py", body)
    first = checked(project, "-v", *words)
    (seed,) = {line.split()[1] for line in first.stdout.splitlines() if line.startswith("seed: ")}
    checked(project, *words, f"--hypothesis-seed={seed}")
    checked(project, *words)
    once, again, other = (project / "thrown").read_text().split()
    assert once == again != other


def test_labs_and_full_size_wait_for_their_ring(project: Path) -> None:
    marks = "import pytest\n@pytest.mark.{0}\ndef test_{0}() -> None: ...\n"
    write(project, "tests/lab/test_lab.py", marks.format("lab"))
    write(project, "tests/lab/test_full.py", marks.format("full"))
    commit(project)
    assert last_line(checked(project, "--ring=1")) == "1 passed, 0 failed, 0 skipped"
    assert last_line(checked(project, "--ring=2")) == "2 passed, 0 failed, 0 skipped"
    assert last_line(checked(project, "-m", "lab")) == "1 passed, 0 failed, 0 skipped"


def test_a_property_tries_ten_times_as_much_in_the_second_ring(project: Path) -> None:
    body = (
        "from pathlib import Path\nfrom hypothesis import given, settings, strategies\n"
        "from tests.support.sizes import examples\n"
        "@settings(max_examples=examples(20))\n@given(strategies.integers())\ndef test_law(number: int) -> None:\n"
        "    with Path('tried').open('a') as file:\n        file.write('x')\n"
    )
    write(project, "tests/contract/test_law.py", body)
    commit(project)
    for ring, tried in (("1", 20), ("2", 200)):
        assert last_line(checked(project, f"--ring={ring}")) == "1 passed, 0 failed, 0 skipped"
        assert (project / "tried").stat().st_size == tried
        (project / "tried").unlink()


def test_a_skip_that_nobody_declared_fails_in_ci(project: Path) -> None:
    write(project, "tests/unit/test_skip.py", "import pytest\ndef test_it() -> None:\n    pytest.skip('no time')\n")
    write(project, "tests/unit/test_module.py", "import pytest\npytest.skip('no time', allow_module_level=True)\n")
    assert last_line(checked(project)) == "0 passed, 0 failed, 2 skipped"
    done = checked(project, ci=True)
    assert done.returncode == 1
    assert "tests/skips.txt does not declare it" in done.stdout
    write(project, "tests/skips.txt", "tests/unit/test_skip.py::*: a reason\ntests/unit/test_module.py: a reason\n")
    assert last_line(checked(project, ci=True)) == "0 passed, 0 failed, 2 skipped"


@pytest.mark.parametrize(
    "deed",
    [
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket().bind(('127.0.0.1', 0))",
        "import threading, os; t = threading.Thread(target=os.system, args=('true',)); t.start(); t.join()",
    ],
)
def test_a_unit_test_that_reaches_outside_fails_whatever_it_catches(project: Path, deed: str) -> None:
    body = f"    try:\n        {deed}\n    except Exception:\n        pass\n"
    write(project, "tests/unit/test_deed.py", f"def test_deed() -> None:\n{body}")
    assert "a unit test must not do this" in checked(project).stdout


def test_a_unit_test_may_use_a_pair_of_sockets_and_files(project: Path) -> None:
    body = "    import socket\n    [end.close() for end in socket.socketpair()]\n    (tmp_path / 'x').write_text('x')\n"
    write(project, "tests/unit/test_deed.py", f"def test_deed(tmp_path) -> None:\n{body}")
    assert last_line(checked(project)) == "1 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_the_second_ring_goes_on_where_it_was_and_writes_its_table(project: Path, words: list[str]) -> None:
    write(project, "tests/unit/test_one.py", "def test_one() -> None: ...\n")
    write(project, "tests/unit/test_two.py", "import os\ndef test_two() -> None:\n    assert 'GOOD' in os.environ\n")
    commit(project)
    assert last_line(checked(project, "--ring=2", *words)) == "1 passed, 1 failed, 0 skipped"
    assert "- `tests/unit/test_two.py::test_two`" in (project / "docs/second-ring.md").read_text()
    done = checked(project, "--ring=2", *words, GOOD="yes")
    assert ("1 passed in" if words else "1 passed, 1 deselected") in done.stdout, "what passed is not run again"
    assert last_line(done) == "2 passed, 0 failed, 0 skipped"
    page = (project / "docs/second-ring.md").read_text()
    assert page.count("| 2 | 2 | 0 | 0 |") == 1
    assert "test_two" not in page
    write(project, "tests/unit/test_one.py", "def test_one() -> None:\n    assert False\n")
    assert last_line(checked(project, "--ring=2", *words, "tests/unit/test_one.py")) == "0 passed, 1 failed, 0 skipped"
    assert (project / "docs/second-ring.md").read_text() == page


@pytest.mark.parametrize(
    "words",
    [["tests/unit/test_one.py"], ["-k", "one"], ["-m", "not contract"], ["-x"], ["--deselect=tests/unit/test_two.py"]],
    ids=" ".join,
)
def test_a_part_of_the_second_ring_writes_no_table_and_is_not_done_again(project: Path, words: list[str]) -> None:
    write(project, "tests/unit/test_one.py", "def test_one() -> None: ...\n")
    write(project, "tests/unit/test_three.py", "def test_three() -> None:\n    assert False\n")
    write(project, "tests/unit/test_two.py", "import pytest\n@pytest.mark.contract\ndef test_two() -> None: ...\n")
    commit(project)
    assert "1 passed" in checked(project, "--ring=2", *words).stdout
    assert not (project / "docs/second-ring.md").exists()
    done = checked(project, "--ring=2")
    assert "deselected" in done.stdout
    assert last_line(done) == "2 passed, 1 failed, 0 skipped"
    assert "| 3 | 2 | 1 | 0 |" in (project / "docs/second-ring.md").read_text()


def test_a_ring_of_hours_may_be_run_in_parts_each_with_its_commit(project: Path) -> None:
    write(project, "tests/lab/test_one.py", "def test_one() -> None: ...\n")
    write(project, "tests/lab/test_two.py", "def test_two() -> None:\n    assert False\n")
    write(project, "tests/contract/room/test_three.py", "def test_three() -> None: ...\n")
    commit(project)
    checked(project, "--ring=2", "tests/lab")
    page = (project / "docs/second-ring.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| tests/")}
    assert rows.keys() == {"tests/lab/test_one.py", "tests/lab/test_two.py"}
    assert "- `tests/lab/test_two.py::test_two`" in page
    write(project, "tests/lab/test_two.py", "def test_two() -> None: ...\n")
    commit(project)
    checked(project, "--ring=2", "tests/lab/test_two.py", "tests/contract")
    page = (project / "docs/second-ring.md").read_text()
    again = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| tests/")}
    assert again.keys() == {*rows, "tests/contract/room"}
    assert again["tests/lab/test_one.py"] == rows["tests/lab/test_one.py"], "it keeps the commit that it ran at"
    assert again["tests/lab/test_two.py"].split("|")[3] != rows["tests/lab/test_two.py"].split("|")[3]
    assert "None." in page


def test_what_a_second_ring_left_behind_is_in_its_table_until_it_starts_over(project: Path) -> None:
    body = "import subprocess\ndef test_it() -> None:\n    subprocess.run('setsid sleep 987655 &', shell=True)\n"
    write(project, "tests/contract/test_leak.py", body)
    commit(project)
    for _ in range(2):
        checked(project, "--ring=2")
        assert left_processes(project) == 1
    write(project, "tests/contract/test_leak.py", "def test_it() -> None: ...\n")
    checked(project, "--ring=2")
    assert left_processes(project) == 0


def test_a_test_that_was_cut_in_the_middle_is_run_again(project: Path) -> None:
    body = "import os\ndef test_it() -> None:\n    if 'GOOD' not in os.environ:\n        raise KeyboardInterrupt\n"
    write(project, "tests/contract/test_cut.py", body)
    commit(project)
    checked(project, "--ring=2")
    assert not (project / "docs/second-ring.md").exists()
    done = checked(project, "--ring=2", GOOD="yes")
    assert "1 passed in" in done.stdout


def test_what_a_test_leaves_running_is_ended_and_fails_ci(project: Path) -> None:
    body = "import subprocess\ndef test_it() -> None:\n    subprocess.run('setsid sleep 987654 &', shell=True)\n"
    write(project, "tests/contract/test_leak.py", body)
    done = checked(project, ci=True)
    assert "left behind: process" in done.stdout
    assert "sleep 987654" in done.stdout
    left = [line for line in done.stdout.splitlines() if line.startswith("left behind: ")]  # others may be at work here
    assert last_line(done) == f"1 passed, {len(left)} failed, 0 skipped"
    assert done.returncode == 1


def test_a_test_that_cannot_be_loaded_is_a_failure(project: Path) -> None:
    write(project, "tests/unit/test_broken.py", "import nothing_like_this\n")
    done = checked(project)
    assert last_line(done) == "0 passed, 1 failed, 0 skipped"
    assert done.returncode == 1


ONCE = (
    "from pathlib import Path\ndef test_it(dice) -> None:\n    file = Path('thrown')\n    thrown = str(dice.random())\n"
    "    first = not file.exists()\n    file.write_text(thrown if first else file.read_text() + ' ' + thrown)\n"
    "    assert not first\n"
)


@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_a_test_of_real_systems_has_a_second_attempt_with_the_same_dice_that_is_told(
    project: Path, words: list[str]
) -> None:
    write(project, "tests/lab/test_once.py", ONCE)
    done = checked(project, "--ring=1", *words, ci=True)
    assert "assert not first" in done.stdout, "the first failure is shown whole"
    assert "passed only in a second attempt" in done.stdout
    assert done.stdout.splitlines()[-2].endswith(": tests/lab/test_once.py::test_it")
    assert last_line(done) == "1 passed, 0 failed, 0 skipped"
    assert done.returncode == 0
    first, second = (project / "thrown").read_text().split()
    assert first == second


def test_what_fails_twice_has_failed(project: Path) -> None:
    write(project, "tests/lab/test_bad.py", "def test_it() -> None:\n    assert False\n")
    done = checked(project, "--ring=1")
    assert last_line(done) == "0 passed, 1 failed, 0 skipped"
    assert done.returncode == 1
    assert "passed only" not in done.stdout


@pytest.mark.parametrize("where", ["unit", "many"])
def test_what_needs_no_real_system_and_what_fails_in_many_places_has_one_attempt(project: Path, where: str) -> None:
    for number in range(1 if where == "unit" else 4):
        text = ONCE.replace("(dice)", "()").replace("dice.random()", "1").replace("'thrown'", f"'thrown{number}'")
        write(project, f"tests/{'unit' if where == 'unit' else 'lab'}/test_{number}.py", text)
    done = checked(project, "--ring=1")
    assert "second attempt" not in done.stdout
    assert done.returncode == 1


def test_the_second_ring_has_one_attempt_too(project: Path) -> None:
    write(project, "tests/lab/test_once.py", ONCE)
    commit(project)
    assert last_line(checked(project, "--ring=2")) == "0 passed, 1 failed, 0 skipped"
