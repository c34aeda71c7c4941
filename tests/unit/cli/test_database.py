import shlex
import sys
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from hotsync.cli import database
from hotsync.config import esmith
from tests.support.system_log import KeptLog

TABLES = Path(__file__).parents[2] / "tables" / "esmith"
NAMES = ("before", "command", "stdin", "output", "output, no newline", "errors", "exit", "after")


@dataclass
class Case:
    title: str
    parts: dict[str, str] = field(default_factory=dict[str, str])


def read_cases(path: Path) -> list[Case]:
    cases: list[Case] = []
    name = ""
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("## "):
            cases.append(Case(line[3:].strip()))
        elif line.startswith("--- ") and line[4:].strip() in NAMES:
            name = line[4:].strip()
            cases[-1].parts[name] = ""
        else:
            cases[-1].parts[name] += line
    for case in cases:  # the blank line between two cases belongs to neither
        last = list(case.parts)[-1]
        if case is not cases[-1]:
            case.parts[last] = case.parts[last].removesuffix("\n")
    return cases


CASES = [case for path in sorted(TABLES.glob("*.txt")) for case in read_cases(path)]


def call(words: list[str]) -> int:
    sys.argv = words
    return database.config() if words[0] == "config" else database.db()


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog(lines).made)
    return lines


@pytest.fixture
def databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.delenv("DBPATH", raising=False)
    monkeypatch.setattr(sys, "argv", [])
    folder = tmp_path / "var/lib/hotsync/db"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_the_verbs_print_store_and_answer_as_the_original(
    case: Case, databases: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file, parts = databases / "configuration", case.parts
    if "before" in parts:
        file.write_text(parts["before"])
    if "stdin" in parts:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(parts["stdin"].encode())))

    status = call([word.replace("DIR", str(databases)) for word in shlex.split(parts["command"])])

    shown = capfdbinary.readouterr()
    expected = parts.get("output", parts.get("output, no newline", "").removesuffix("\n"))
    assert shown.out.decode() == expected
    assert status == int(parts.get("exit", "0"))
    if "errors" in parts:
        assert parts["errors"].strip() in shown.err.decode()
    else:
        assert shown.err == b""
    if "after" in parts:
        comments, lines = split_header(file.read_text())
        assert lines == parts["after"]
        assert comments.count("\n") == 6
        assert file.stat().st_mode & 0o777 == 0o600
    else:
        assert (file.read_text() if file.exists() else None) == parts.get("before")


def split_header(text: str) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("#")), "".join(
        line for line in lines if not line.startswith("#")
    )


def test_the_tables_have_a_case_for_every_verb() -> None:
    from hotsync.cli.database_verbs import VERBS

    used = {word for case in CASES for word in case.parts["command"].split()}
    assert set(VERBS) <= used


def test_bytes_that_are_no_text_go_through_unchanged(
    databases: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (databases / "configuration").write_bytes(b"a=t|p|\xff\xfe|q|1\n")
    assert call(["config", "getprop", "a", "p"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\xfe\n"
    assert call(["config", "setprop", "a", "q", "\udcff"]) == 0
    assert b"a=t|p|\xff\xfe|q|\xff\n" in (databases / "configuration").read_bytes()
    assert call(["config", "printjson", "a"]) == 0
    assert '"q":"�"' in capfdbinary.readouterr().out.decode()


def test_dbpath_is_put_before_the_name(
    databases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "networks").write_text("eth0=ethernet|role|green\n")
    monkeypatch.setenv("DBPATH", str(tmp_path / "elsewhere"))
    assert call(["db", "networks", "getprop", "eth0", "role"]) == 0
    assert capfd.readouterr().out == "green\n"


def test_an_old_database_is_found_with_a_warning(
    databases: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home/e-smith").mkdir(parents=True)
    (tmp_path / "home/e-smith/hosts").write_text("a=host\n")
    assert call(["db", "hosts", "keys"]) == 0
    shown = capfd.readouterr()
    assert shown.out == "a\n"
    assert "old location" in shown.err


def test_on_nethserver_its_own_databases_are_used_and_keep_their_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    folder = tmp_path / "var/lib/nethserver/db"
    folder.mkdir(parents=True)
    (folder / "configuration").write_text("SystemName=old\na=t\n")
    (folder / "configuration").chmod(0o640)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/Europe/Rome")
    assert call(["config", "get", "TimeZone"]) == 0
    assert capfd.readouterr().out == "Europe/Rome\n"
    assert call(["config", "set", "SystemName", "new"]) == 0
    assert "read-only" in capfd.readouterr().err
    assert call(["config", "setprop", "a", "p", "1"]) == 0
    assert split_header((folder / "configuration").read_text())[1] == "SystemName=old\na=t|p|1\n"
    assert (folder / "configuration").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_printed_on_standard_output(word: str, databases: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(["config", word]) == 0
    assert "config setprop key prop1 val1" in capfd.readouterr().out
    assert call(["db", word]) == 0
    assert "db dbfile setprop key prop1 val1" in capfd.readouterr().out


def test_a_database_that_is_a_folder_is_named_and_fails(databases: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (databases / "configuration").mkdir()
    assert call(["config", "show"]) == 1
    assert "configuration" in capfd.readouterr().err


def test_every_letter_of_a_value_survives_show(databases: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    value = "".join(chr(number) for number in range(32, 127) if chr(number) not in "|\\") + "é€"
    (databases / "configuration").write_bytes(b"a=t\n")
    assert call(["config", "setprop", "a", "p", value]) == 0
    assert call(["config", "getprop", "a", "p"]) == 0
    assert capfdbinary.readouterr().out == esmith.to_bytes(value) + b"\n"


def test_a_change_is_one_pair_of_lines_in_the_log_without_the_secret(databases: Path, log: list[str]) -> None:
    file = databases / "configuration"
    file.write_text("rsyncd=service|password|alt|status|disabled\n")
    assert call(["config", "setprop", "rsyncd", "password", "geheim", "status", "enabled"]) == 0
    assert call(["config", "delete", "rsyncd"]) == 0
    assert call(["config", "set", "new", "t"]) == 0
    assert log == [
        f"config: {file}: OLD rsyncd=service|password|***|status|disabled",
        f"config: {file}: NEW rsyncd=service|password|***|status|enabled",
        f"config: {file}: DELETE rsyncd=service|password|***|status|enabled",
        f"config: {file}: OLD new=(undefined)",
        f"config: {file}: NEW new=t",
    ]
