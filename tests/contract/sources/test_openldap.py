"""OpenLDAP, the real one: what is collected is loaded as it was, old or new and never half."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.checks import check_ldap
from hotsync.errors import OlderServer, RestoreFailed, SourceError
from hotsync.model.report import Verdict
from hotsync.sources import at_rest
from hotsync.sources.openldap import load as openldap_load
from hotsync.sources.openldap import server as openldap_server
from hotsync.sources.openldap import source
from hotsync.sources.openldap.ldif import DirectoryDatabase
from hotsync.sources.openldap.server import Reading
from hotsync.sources.source import Context, Dataset
from hotsync.system import command, trees
from hotsync.system.paths import Paths
from tests.contract.sources import engines
from tests.contract.sources.engines import Slapd, in_a_child, people
from tests.contract.sources.observe import changed, seen

pytestmark = pytest.mark.contract

HERE = Dataset("openldap", "slapd")


@pytest.fixture
def server() -> Iterator[Slapd]:
    with engines.slapd() as running:
        yield running


def folder_of(context: Context) -> Path:
    return context.paths.spool / "openldap/slapd"


def all_of(server: Slapd) -> list[str]:
    return [server.slapcat(number) for number in (0, 2, 3)]


def test_a_directory_whose_files_are_gone_is_what_it_was_after_a_load(server: Slapd, context: Context) -> None:
    points = source.collect(context, server.dataset())
    assert [(point.name, point.stale_since) for point in points] == [("openldap/slapd", 0.0)]
    before, shown = all_of(server), server.search()
    server.stop()
    for name in ("main", "two words", "slapd.d"):
        trees.remove(server.folder / name)
    digest = source.restore(folder_of(context), HERE)
    assert digest == json.loads((folder_of(context) / "server.json").read_text())["digest"]
    assert all_of(server) == before
    server.start()
    assert server.search() == shown, "operational attributes too, for the administrator who logs in as before"
    assert server.search().count("\ndn: ") == 51
    names = {path.name for path in (server.folder / "main").iterdir()}
    assert names == {"data.mdb", "lock.mdb"}
    owners = {path.owner() for name in ("main", "slapd.d") for path in (server.folder / name).rglob("*")}
    assert owners == {"openldap"}


def test_a_directory_in_which_an_entry_was_moved_below_a_younger_one_can_be_loaded(
    server: Slapd, context: Context
) -> None:
    """The server has it before that one, and a server that was loaded with it has it behind."""
    server.ldap("ldapadd", input="dn: ou=Left,dc=example,dc=org\nobjectClass: organizationalUnit\nou: Left\n")
    move = "changetype: modrdn\nnewrdn: uid=p3\ndeleteoldrdn: 1\nnewsuperior: ou=Left,dc=example,dc=org\n"
    server.ldap("ldapmodify", input=f"dn: uid=p3,ou=People,dc=example,dc=org\n{move}")
    source.collect(context, server.dataset())
    before = server.slapcat(2).split("\n\n")
    server.stop()
    source.restore(folder_of(context), HERE)
    after = server.slapcat(2).split("\n\n")
    assert after != before
    assert sorted(after) == sorted(before)


def test_what_came_later_is_not_there_after_a_load(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    before = all_of(server)
    server.ldap("ldapadd", input=people(1000, 3))
    change = "dn: olcDatabase={2}mdb,cn=config\nchangetype: modify\nreplace: olcSizeLimit\nolcSizeLimit: 7\n"
    server.stop()
    argv = ["slapmodify", "-F", str(server.config), "-n", "0"]
    command.run(argv, input=change.encode(), user="openldap", cwd="/")
    assert all_of(server) != before
    source.restore(folder_of(context), HERE)
    source.restore(folder_of(context), HERE)
    assert all_of(server) == before


def test_where_nothing_changed_nothing_is_touched(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.search()
    source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()
    server.ldap("ldapadd", input=people(100, 1))
    source.collect(context, server.dataset())
    assert changed(before, seen(folder_of(context).parent.parent)) == {
        "openldap/slapd", "openldap/slapd/2.ldif", "openldap/slapd/server.json",
    }  # fmt: skip


def test_a_database_is_read_again_only_after_a_write_or_where_it_is_another_file(
    server: Slapd, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped: list[int] = []

    def output(reading: Reading, number: int, stall_seconds: float) -> Generator[bytes, None, None]:
        dumped.append(number)
        yield from openldap_server.output(reading, number, stall_seconds)

    monkeypatch.setattr(source, "output", output)

    def collected() -> list[int]:
        dumped.clear()
        source.collect(context, server.dataset())
        return list(dumped)

    assert collected() == [2, 3]
    assert collected() == []
    server.search()
    server.stop()
    older = engines.copy_of(server.folder / "main", context.paths.root / "older")
    server.start()
    assert collected() == [], "the server only reads what is there when it starts"
    server.ldap("ldapmodify", input="dn: dc=second\nchangetype: modify\nreplace: o\no: later\n")
    assert collected() == [3]
    server.ldap("ldapmodify", input="dn: uid=p1,ou=People,dc=example,dc=org\nchangetype: delete\n")
    assert collected() == [2]
    server.stop()
    trees.remove(server.folder / "main")
    engines.copy_of(older, server.folder / "main")
    assert collected() == [2]
    assert server.slapcat(2) == (folder_of(context) / "2.ldif").read_text()
    change = "dn: olcDatabase={2}mdb,cn=config\nchangetype: modify\nreplace: olcSizeLimit\nolcSizeLimit: 7\n"
    argv = ["slapmodify", "-F", str(server.config), "-n", "0"]
    command.run(argv, input=change.encode(), user="openldap", cwd="/")
    assert collected() == [2, 3], "what an entry looks like is a matter of the configuration, too"
    (folder_of(context) / "3.ldif").unlink()
    assert collected() == [3]


def test_a_server_that_is_down_is_collected_all_the_same(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.stop()
    source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()


def test_entries_are_counted_and_the_databases_that_hold_them_are_found(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    document = json.loads((folder_of(context) / "server.json").read_text())
    assert [(each["number"], each["suffix"], each["entries"]) for each in document["databases"]] == [
        (2, "dc=example,dc=org", 52), (3, "dc=second", 1),
    ]  # fmt: skip
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.GREEN]


def test_a_configuration_file_is_collected_by_its_databases(server: Slapd, context: Context) -> None:
    server.stop()
    conf = server.folder / "slapd.conf"
    includes = "".join(f"include {engines.SCHEMAS}/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
    conf.write_text(
        f"{includes}modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        f'database mdb\nsuffix dc=example,dc=org\nrootdn {engines.ROOT}\ndirectory "{server.folder}/main"\n'
    )
    conf.chmod(0o640)
    shutil.chown(conf, group="openldap")
    dataset = replace(server.dataset(), config=str(conf))
    source.collect(context, dataset)
    before = seen(context.paths.spool)
    source.collect(context, dataset)
    assert changed(before, seen(context.paths.spool)) == set()
    assert sorted(path.name for path in folder_of(context).iterdir()) == ["1.ldif", "server.json"]
    written = server.slapcat(2)
    trees.remove(server.folder / "main")
    source.restore(folder_of(context), HERE)
    assert server.slapcat(2) == written
    assert "directory" in conf.read_text(), "the file is /etc's own, and comes with it"


def test_a_database_that_lies_where_the_server_has_it_by_default_is_an_error_that_names_it(
    server: Slapd, context: Context
) -> None:
    """Nothing says where that is, and /var/lib/ldap is not copied as files."""
    conf = server.folder / "slapd.conf"
    conf.write_text(
        f"include {engines.SCHEMAS}/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        f'database mdb\nsuffix dc=example,dc=org\ndirectory "{server.folder}/main"\n'
        "database mdb\nsuffix dc=elsewhere\n"
    )
    conf.chmod(0o640)
    shutil.chown(conf, group="openldap")
    with pytest.raises(SourceError, match=r"does not name their directory: 2 \(dc=elsewhere, mdb\)") as caught:
        source.collect(context, replace(server.dataset(), config=str(conf)))
    assert "directory" in caught.value.hint
    assert {path.name for path in folder_of(context).iterdir()} == {"1.ldif", "server.json"}


def test_a_database_of_an_old_kind_is_an_error_that_names_it_and_the_others_are_collected(
    server: Slapd, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(Reading):
        @property
        def databases(self) -> list[DirectoryDatabase]:
            return [replace(each, kind="hdb" if each.number == 3 else each.kind) for each in super().databases]

    def read(place: str, stall_seconds: float) -> Reading:
        known = openldap_server.read(place, stall_seconds)
        return Older(known.place, known.user, known.content, known.lines)

    monkeypatch.setattr(source, "read", read)
    with pytest.raises(SourceError, match=r"neither collects nor carries: 3 \(dc=second, hdb\)"):
        source.collect(context, server.dataset())
    assert {path.name for path in folder_of(context).iterdir()} == {"2.ldif", "config.ldif", "server.json"}


def test_a_load_that_dies_anywhere_leaves_old_or_new_and_is_done_by_the_next(
    server: Slapd, context: Context, full_size: bool, dice: random.Random
) -> None:
    """At every fourth instant or so in the first ring, at every one in the second."""
    source.collect(context, server.dataset())
    new = all_of(server)
    server.ldap("ldapadd", input=people(1000, 3))
    server.ldap("ldapmodify", input="dn: dc=second\nchangetype: modify\nreplace: o\no: later\n")
    server.stop()
    old = all_of(server)
    kept = engines.copy_of(server.folder, context.paths.root / "kept")
    calls: list[tuple[object, str]] = [
        (openldap_load, "_slapadd"), (openldap_load, "_make_anew"), (os, "replace"), (trees, "remove"),
        (at_rest, "rename_exchange"), (openldap_load, "sync_filesystem"),
    ]  # fmt: skip
    number = 0
    while True:
        number += 1 if full_size or number == 0 else dice.randint(1, 7)
        died = in_a_child(lambda: source.restore(folder_of(context), HERE), calls, number)
        found = all_of(server)
        assert all(now in either for now, either in zip(found, zip(old, new, strict=True), strict=True))
        source.restore(folder_of(context), HERE)
        assert all_of(server) == new
        assert {path.name for path in (server.folder / "main").iterdir()} <= {"data.mdb", "lock.mdb"}
        assert not list(server.folder.glob(".hotsync*"))
        if not died:
            break
        for name in ("main", "two words", "slapd.d"):
            engines.copy_of(kept / name, server.folder / name)
    assert number > 15


def test_a_dump_that_was_changed_afterwards_is_found_and_the_old_directory_stays(
    server: Slapd, context: Context
) -> None:
    source.collect(context, server.dataset())
    server.stop()
    before = all_of(server)
    path = folder_of(context) / "2.ldif"
    path.write_bytes(path.read_bytes().replace(b"uid: p7", b"uid: pX"))
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.RED]
    with pytest.raises(RestoreFailed, match=r"2\.ldif is not what was collected"):
        source.restore(folder_of(context), HERE)
    path.write_bytes(b"nonsense\n")
    with pytest.raises(RestoreFailed):
        source.restore(folder_of(context), HERE)
    assert all_of(server) == before


def test_a_server_that_runs_is_not_loaded(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    with pytest.raises(RestoreFailed, match="slapd runs") as caught:
        source.restore(folder_of(context), HERE)
    assert "systemctl stop slapd" in caught.value.hint


def test_an_older_server_is_refused(server: Slapd, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    source.collect(context, server.dataset())
    server.stop()
    monkeypatch.setattr(openldap_load, "tools_version", lambda: "2.4.57")
    with pytest.raises(OlderServer, match=r"2\.4\.57"):
        source.restore(folder_of(context), HERE)


@pytest.mark.parametrize("place", ["/etc", "/srv/../etc/x", "", "relative/x/y"])
def test_a_place_that_is_none_is_refused(server: Slapd, context: Context, place: str) -> None:
    source.collect(context, server.dataset())
    server.stop()
    path = folder_of(context) / "server.json"
    path.write_text(path.read_text().replace(f'"config": "{server.config}"', f'"config": "{place}"'))
    with pytest.raises(RestoreFailed, match="is no place"):
        source.restore(folder_of(context), HERE)


def test_a_folder_that_holds_other_things_is_not_replaced(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    server.stop()
    (server.config / "passwd").write_text("precious")
    with pytest.raises(RestoreFailed, match="holds more than"):
        source.restore(folder_of(context), HERE)
    assert (server.config / "passwd").read_text() == "precious"


def test_a_dump_that_ends_early_leaves_the_last_copy(
    server: Slapd, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.ldap("ldapadd", input=people(100, 1))
    fake = server.folder / "bin/slapcat"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\ncase "$*" in\n*"-n 2"*) /usr/sbin/slapcat "$@" | head -c 4000; kill -9 $$;;\n'
        '*) exec /usr/sbin/slapcat "$@";;\nesac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{fake.parent}:{command.ENVIRONMENT['PATH']}")
    with pytest.raises(SourceError, match="openldap/slapd could not be collected"):
        source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_database_that_cannot_be_read_is_an_error_that_says_so(server: Slapd, context: Context) -> None:
    source.collect(context, server.dataset())
    before = seen(context.paths.spool)
    server.stop()
    (server.folder / "main/data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(SourceError, match="slapcat"):
        source.collect(context, server.dataset())
    assert changed(before, seen(context.paths.spool)) == set()


def test_a_full_spool_is_an_error_with_its_name_and_the_last_copy_stays(server: Slapd, context: Context) -> None:
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(context.paths.state)])
    try:
        source.collect(context, server.dataset())
        before = seen(context.paths.spool)
        server.ldap("ldapadd", input=people(1000, 900))
        with pytest.raises(SourceError, match=f"the spool {context.paths.spool} is full"):
            source.collect(context, server.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
    finally:
        command.run(["umount", str(context.paths.state)])


def test_a_server_is_found_by_its_configuration(server: Slapd) -> None:
    context = Context(Paths(server.folder / "root"))
    assert source.inspect(context) == ()
    place = context.paths.at("/etc/ldap/slapd.d")
    place.parent.mkdir(parents=True)
    engines.copy_of(server.config, place)
    found = source.inspect(context)
    assert [(each.name, each.config, each.unit) for each in found] == [("openldap/slapd", str(place), "slapd.service")]
    assert found[0].directories == (f"{server.folder}/main", f"{server.folder}/two words")


def test_the_check_asks_every_database_and_says_what_does_not_answer(server: Slapd) -> None:
    check = check_ldap("openldap.ldap.1", "the directory answers", ("ldapi://%2Fnonexistent", server.url))
    assert (check.verdict, check.detail) == (Verdict.GREEN, "2 databases answer")
    server.stop()
    assert check_ldap("openldap.ldap.1", "the directory answers", (server.url,)).verdict is Verdict.RED


def test_a_server_with_a_configuration_of_its_own_is_found_while_it_is_down_and_not_once_its_files_are_gone(
    server: Slapd, context: Context
) -> None:
    """Nothing but its process and what was collected of it tells where that lies."""
    usual = context.paths.at("/etc/ldap/slapd.d")
    own = [replace(server.dataset(), instance=instance) for instance in ("slapd", "srv-own-slapd.d")]
    source.collect(context, own[0])
    assert [each.config for each in source.inspect(context)] == [own[0].config]
    usual.parent.mkdir(parents=True)
    engines.copy_of(server.config, usual)
    assert [each.config for each in source.inspect(context)] == [str(usual)]
    source.collect(context, own[1])
    server.stop()
    assert [each.config for each in source.inspect(context)] == [str(usual), own[1].config]
    for name in ("main", "two words"):
        (server.folder / name / "data.mdb").unlink()
    assert [each.config for each in source.inspect(context)] == [str(usual)]
