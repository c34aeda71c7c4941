from pathlib import Path

import pytest

from hotsync.config.defaults import RECORDS
from hotsync.config.esmith import Record
from hotsync.state.configdb import ConfigDb, configuration, ensure_records, locate
from hotsync.system.paths import Paths
from tests.support.system_log import KeptLog


@pytest.fixture(autouse=True)
def sent_apart(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    apart: list[str] = []
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([], apart).made)
    return apart


def test_what_is_logged_of_a_record_with_a_secret_is_sent_by_another_process(
    tmp_path: Path, sent_apart: list[str]
) -> None:
    db = configuration(Paths(tmp_path))
    ensure_records(Paths(tmp_path))
    assert sent_apart == []
    db.set_props("rsyncd", {"password": "geheim"})
    assert len(sent_apart) == 2
    db.set_props("rsyncd", {"password": "geheim", "TCPPort": "1"})  # it stands in the command, though it is the old one
    assert len(sent_apart) == 4
    db.set_props("hotsync", {"role": "master"})
    assert len(sent_apart) == 4
    assert "geheim" not in "".join(sent_apart)


def test_an_installed_server_has_the_three_records_with_an_empty_role(tmp_path: Path) -> None:
    ensure_records(Paths(tmp_path))
    props = configuration(Paths(tmp_path)).props(RECORDS)
    assert props == {key: dict(defaults) for key, (_, defaults) in RECORDS.items()}
    assert props["hotsync"]["role"] == ""
    assert configuration(Paths(tmp_path)).record("rsyncd") == Record("service", props["rsyncd"])


def test_what_an_administrator_has_set_survives_an_upgrade(tmp_path: Path) -> None:
    db = configuration(Paths(tmp_path))
    db.update(lambda document: document.update({"hotsync": "configuration|role|master|mine|1", "other": "t"}))
    ensure_records(Paths(tmp_path))
    props = db.props(["hotsync"])["hotsync"]
    assert (props["role"], props["mine"], props["SlavePort"]) == ("master", "1", "273")
    assert db.record("other") == Record("t")


def test_installing_twice_writes_nothing_the_second_time(tmp_path: Path) -> None:
    ensure_records(Paths(tmp_path))
    before = Paths(tmp_path).configuration.stat()
    ensure_records(Paths(tmp_path))
    assert Paths(tmp_path).configuration.stat().st_ino == before.st_ino


def test_props_are_given_as_they_were_meant(tmp_path: Path) -> None:
    db = ConfigDb(tmp_path / "db")
    db.update(lambda document: document.update({"rsyncd": r"service|password|a\|b|odd"}))
    assert db.props(["rsyncd", "missing"]) == {"rsyncd": {"password": "a|b", "odd": ""}}


def test_setting_props_of_a_missing_record_says_so(tmp_path: Path) -> None:
    assert not ConfigDb(tmp_path / "db").set_props("a", {"p": "1"})
    assert not (tmp_path / "db").exists()


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    db = ConfigDb(tmp_path / "db")
    db.update(lambda document: document.update({"a": "t"}))
    before = (tmp_path / "db").read_bytes()

    def change(document: dict[str, str | None]) -> None:
        document["a"] = "other"
        raise KeyError

    with pytest.raises(KeyError):
        db.update(change)
    assert (tmp_path / "db").read_bytes() == before


def test_a_file_that_others_could_read_is_0600_after_the_next_change(tmp_path: Path) -> None:
    file = tmp_path / "db"
    file.write_text("a=t\n")
    file.chmod(0o644)
    ConfigDb(file).set_props("a", {"p": "1"})
    assert file.stat().st_mode & 0o777 == 0o600


def test_leftovers_of_killed_writers_go_with_the_next_change_and_nothing_else_does(tmp_path: Path) -> None:
    for name in (".db.0123456789ab", ".db.mine", ".other.0123456789ab", "db.0123456789ab"):
        (tmp_path / name).touch()
    ConfigDb(tmp_path / "db").update(lambda document: document.update({"a": "t"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".db.mine",
        ".other.0123456789ab",
        "db",
        "db.0123456789ab",
        "db.lock",
    ]


@pytest.mark.parametrize(
    ("name", "prefix", "found"),
    [
        ("networks", None, "var/lib/hotsync/db/networks"),
        ("networks", "sub", "var/lib/hotsync/db/sub/networks"),
    ],
)
def test_a_name_is_looked_up_in_the_folder_of_the_databases(
    name: str, prefix: str | None, found: str, tmp_path: Path
) -> None:
    assert locate(name, Paths(tmp_path), prefix=prefix) == tmp_path / found


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate("/a/b", Paths(tmp_path)) == Path("/a/b")
    assert locate("/b", Paths(tmp_path), prefix="/a") == Path("/a//b")
