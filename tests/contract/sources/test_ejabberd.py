"""ejabberd, the real one: its database comes back by a backup, old or new and never half."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hotsync.errors import OlderServer, RestoreFailed, SourceError
from hotsync.model.report import Verdict
from hotsync.sources.ejabberd import load as ejabberd_load
from hotsync.sources.ejabberd import source
from hotsync.sources.ejabberd.mnesia_backup import BackupError, read_content
from hotsync.sources.ejabberd.server import installed_version, read_settings, runs
from hotsync.sources.source import Context, Dataset
from hotsync.system import command, trees
from tests.contract.sources import engines
from tests.contract.sources.engines import in_a_child
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import open_folder

pytestmark = pytest.mark.contract

NODE = "hotsync-test@localhost"
CONFIG = """hosts:
  - localhost
loglevel: warning
listen: []
auth_method: internal
modules:
  mod_roster: {}
  mod_private: {}
  mod_last: {}
  mod_admin_extra: {}
"""
FILES = ("*.DAT", "*.DCD", "*.DCL", "*.LOG")


@dataclass
class Ejabberd:
    """A server in a folder, running or not; it listens for its control program only, and needs no other daemon."""

    folder: Path
    process: command.Process | None = None

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def dataset(self) -> Dataset:
        return Dataset("ejabberd", "ejabberd", config=str(self.folder / "etc"))

    def control(self, *words: str) -> str:
        return command.run(["ejabberdctl", "--config-dir", str(self.folder / "etc"), *words], cwd="/").text.strip()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = command.Process(
                ["ejabberdctl", "--config-dir", str(self.folder / "etc"), "foreground"],
                stdin=command.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            )  # fmt: skip
        self.control("started")

    def stop(self) -> None:
        assert self.process is not None
        self.control("stop")
        self.process.wait()
        self.process = None

    def people(self) -> list[str]:
        return sorted(self.control("registered_users", "localhost").split())


@pytest.fixture(scope="module")
def _running() -> Iterator[Ejabberd]:
    with open_folder() as folder:
        for name in ("spool", "logs", "etc"):
            (folder / name).mkdir()
            engines.take_over(folder / name, "ejabberd")
        (folder / "etc/ejabberd.yml").write_text(CONFIG)
        (folder / "etc/inetrc").write_text("{lookup,[file,native]}.\n")
        (folder / "etc/ejabberdctl.cfg").write_text(
            f"ERLANG_NODE={NODE}\nSPOOL_DIR={folder}/spool\nLOGS_DIR='{folder}/logs'\n"
            f"ERL_DIST_PORT={engines.free_port()}\nINET_DIST_INTERFACE=127.0.0.1\n"
        )
        server = Ejabberd(folder)
        server.start()
        server.control("register", "anna", "localhost", "secret")
        server.control("register", "zoë", "localhost", "word")
        try:
            yield server
        finally:
            if server.process is not None:
                server.stop()


@pytest.fixture
def server(_running: Ejabberd) -> Ejabberd:
    """The one server of these tests, running, with the two people who are always there."""
    if _running.process is None:
        _running.start()
    for name in set(_running.people()) - {"anna", "zoë"}:
        _running.control("unregister", name, "localhost")
    return _running


def folder_of(context: Context) -> Path:
    return context.paths.spool / "ejabberd/ejabberd"


def test_a_server_starts_with_what_was_collected(server: Ejabberd, context: Context) -> None:
    points = source.collect(context, server.dataset())
    assert [(point.name, point.stale_since) for point in points] == [("ejabberd/ejabberd", 0.0)]
    document = json.loads((folder_of(context) / "server.json").read_text())
    assert (document["node"], document["folder"], document["records"]["passwd"]) == (NODE, str(server.spool), 2)
    assert document["version"] == installed_version()
    server.control("register", "later", "localhost", "x")
    server.stop()
    assert source.restore(folder_of(context), server.dataset()) == document["digest"]
    assert source.restore(folder_of(context), server.dataset()) == document["digest"]
    assert {path.name for path in server.spool.glob(".hotsync*")} == {".hotsync"}
    assert not (server.spool / "FALLBACK.BUP").exists(), "tables that are on disk are in place, not made at the start"
    server.start()
    assert server.people() == ["anna", "zoë"]
    assert server.control("check_password", "anna", "localhost", "secret") == ""


def test_a_server_without_any_tables_starts_with_what_was_collected(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    server.stop()
    for pattern in FILES:
        for path in server.spool.glob(pattern):
            path.unlink()
    source.restore(folder_of(context), server.dataset())
    server.start()
    assert server.people() == ["anna", "zoë"]


def test_where_nothing_changed_nothing_is_touched(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    before, above = seen(context.paths.spool), server.spool.stat().st_mtime_ns
    source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()
    assert server.spool.stat().st_mtime_ns == above, "the folder that is carried does not change with each run"
    assert list((server.spool / ".hotsync").iterdir()) == []
    server.control("register", "later", "localhost", "x")
    source.collect(context, server.dataset())
    assert {"ejabberd/ejabberd/mnesia.backup"} < changed(before, seen(context.paths.spool))


def test_a_backup_that_was_lost_is_written_anew_though_nothing_changed(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    (folder_of(context) / "mnesia.backup").unlink()
    source.collect(context, server.dataset())
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.GREEN]


def test_a_load_that_dies_anywhere_leaves_old_or_new_and_is_done_by_the_next(
    server: Ejabberd, context: Context, full_size: bool, dice: random.Random
) -> None:
    """At every twentieth instant or so in the first ring (each costs a start), at every one in the second."""
    source.collect(context, server.dataset())
    server.control("register", "later", "localhost", "x")
    server.stop()
    kept = engines.copy_of(server.spool, context.paths.root / "kept")
    calls: list[tuple[object, str]] = [(ejabberd_load, "run"), (os, "replace"), (Path, "unlink")]
    number, found = 0, set[tuple[str, ...]]()
    while True:
        number += 1 if full_size or number == 0 else dice.randint(1, 39)
        trees.remove(server.spool)
        engines.copy_of(kept, server.spool)
        died = in_a_child(lambda: source.restore(folder_of(context), server.dataset()), calls, number)
        server.start()
        found.add(tuple(server.people()))
        server.stop()
        if not died:
            break
    assert found == {("anna", "later", "zoë"), ("anna", "zoë")}
    source.restore(folder_of(context), server.dataset())
    assert not (server.spool / ".hotsync-new").exists()


def test_a_node_of_another_name_is_refused_with_a_way_out(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    server.stop()
    elsewhere = context.paths.root / "etc"
    elsewhere.mkdir()
    (elsewhere / "ejabberdctl.cfg").write_text('ERLANG_NODE="ejabberd@other"\n')
    with pytest.raises(
        RestoreFailed, match="ejabberd@other, and the database belongs to hotsync-test@localhost"
    ) as caught:
        source.restore(folder_of(context), replace(server.dataset(), config=str(elsewhere)))
    assert "mnesia_change_nodename" in caught.value.hint
    document = folder_of(context) / "server.json"
    document.write_text(document.read_text().replace(NODE, "ejabberd@other"))
    with pytest.raises(RestoreFailed, match="erl"):
        source.restore(folder_of(context), replace(server.dataset(), config=str(elsewhere)))


def test_a_backup_that_was_changed_afterwards_or_lost_records_is_found(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    server.stop()
    document = folder_of(context) / "server.json"
    told = json.loads(document.read_text())
    document.write_text(json.dumps({**told, "records": {**told["records"], "passwd": 3}}))
    with pytest.raises(RestoreFailed, match="passwd has 2 records after the load, and had 3"):
        source.restore(folder_of(context), server.dataset())
    document.write_text(json.dumps(told))
    path = folder_of(context) / "mnesia.backup"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"secret", b"secreT"))
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.RED]
    with pytest.raises(RestoreFailed, match="not what was collected"):
        source.restore(folder_of(context), server.dataset())
    assert not (server.spool / "FALLBACK.BUP").exists()
    path.write_bytes(content[:-7])
    with path.open("rb") as file, pytest.raises(BackupError, match="ends too early"):
        read_content(file)


def test_a_server_that_runs_is_not_loaded_and_an_older_one_is_refused(
    server: Ejabberd, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, server.dataset())
    assert runs(NODE)
    with pytest.raises(RestoreFailed, match=f"{NODE} runs"):
        source.restore(folder_of(context), server.dataset())
    monkeypatch.setattr(ejabberd_load, "installed_version", lambda: "21.12")
    with pytest.raises(OlderServer, match=r"21\.12"):
        source.restore(folder_of(context), server.dataset())


def test_a_backup_that_cannot_be_written_is_an_error_and_the_last_copy_stays(
    server: Ejabberd, context: Context
) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.control("private_set", "anna", "localhost", "<a xmlns='b'>a write, so that it is asked again</a>")
    private = server.spool / ".hotsync"
    os.chown(private, 0, 0)
    try:
        with pytest.raises(SourceError, match="ejabberd/ejabberd could not be collected"):
            source.collect(context, server.dataset())
    finally:
        engines.take_over(private, "ejabberd")
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_full_spool_is_an_error_with_its_name_and_the_last_copy_stays(server: Ejabberd, context: Context) -> None:
    command.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(context.paths.state)])
    try:
        source.collect(context, server.dataset())
        before = seen(context.paths.spool)
        server.control("private_set", "anna", "localhost", f"<a xmlns='b'>{'c' * 60_000}</a>")
        with pytest.raises(SourceError, match=f"the spool {context.paths.spool} is full"):
            source.collect(context, server.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
    finally:
        command.run(["umount", str(context.paths.state)])


def test_a_server_that_is_down_is_an_error_and_the_last_copy_stays(server: Ejabberd, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.stop()
    with pytest.raises(SourceError, match="ejabberd/ejabberd could not be collected") as caught:
        source.collect(context, server.dataset())
    assert "ejabberdctl status" in caught.value.hint
    assert changed(before, seen(context.paths.spool)) == set()


def test_what_the_control_file_does_not_say_is_usual(tmp_path: Path) -> None:
    assert read_settings(str(tmp_path)) == read_settings("/nonexistent")
    assert read_settings(str(tmp_path)).node == "ejabberd@localhost"
