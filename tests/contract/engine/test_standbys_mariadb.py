"""A streamed MariaDB server on a waiting SLAVE and in a promotion: real servers and agents, no service manager."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.engine.standby import mariadb as standby_mariadb
from hotsync.engine.standby import standbys
from hotsync.engine.standby.standbys import applied
from hotsync.errors import RestoreFailed
from hotsync.model.generation import DatasetPoint
from hotsync.sources.followed import Pace, is_followed
from hotsync.sources.mariadb import binlog as mariadb_binlog
from hotsync.sources.mariadb import load as mariadb_load
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import standby as mariadb_standby
from hotsync.sources.mariadb import streaming as mariadb_streaming
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.registry import collect_all
from hotsync.sources.source import Context, Dataset
from hotsync.state.streaming import load_streaming, note_streaming
from hotsync.system import command
from hotsync.transport.client import PeerLink
from tests.contract.agent.pair import until
from tests.contract.agent.streamed_mariadb import NAME, Streamed, streamed
from tests.contract.sources import servers

pytestmark = pytest.mark.contract

COUNT = "SELECT COUNT(*) FROM shop.t"


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with servers.open_folder() as folder:
        yield servers.prepare_mariadb(folder / "data")


@pytest.fixture
def slave(template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Streamed]:
    with streamed(template, monkeypatch) as world:
        world.master.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.t (n int PRIMARY KEY AUTO_INCREMENT, w mediumtext);"
            "INSERT INTO shop.t (w) VALUES ('a'), ('b'); CREATE USER web@localhost IDENTIFIED BY 'x';"
            "GRANT ALL ON shop.* TO web@localhost; CREATE TABLE shop.gone (n int);"
            "GRANT SELECT ON shop.gone TO web@localhost;"
        )
        assert world.set_up() == ""
        world.sync()
        yield world


@pytest.fixture
def following(slave: Streamed) -> Streamed:
    """A SLAVE whose standby follows."""
    slave.start_streaming()
    slave.tend()
    until(slave.follows, "it follows")
    return slave


def test_a_server_is_loaded_from_its_dump_and_what_is_committed_later_arrives(slave: Streamed) -> None:
    assert slave.facts() is None
    slave.start_streaming()
    facts = slave.facts()
    assert facts is not None
    assert facts.to_do == "copy mariadb/default from the MASTER: there is no copy yet"
    slave.tend()
    slave.master.sql("INSERT INTO shop.t (w) VALUES ('c'); CREATE DATABASE more; CREATE TABLE more.m (n int)")
    until(lambda: slave.has(COUNT, "3"), "the third row is there")
    until(lambda: slave.has("SELECT COUNT(*) FROM more.m", "0"), "what is new is there")
    until(slave.follows, "it follows")
    facts = slave.facts()
    assert facts is not None
    assert (facts.to_do, facts.trouble) == ("", "")
    now = slave.pair.slave.clock.now()
    until(lambda: slave.standing().has_all_received, "all is applied")
    assert now - 10 < slave.standing().as_of(now) <= now
    assert slave.standing().as_of(now, 100.0) == pytest.approx(slave.standing().as_of(now) + 100, abs=5)
    # accounts are those of the last generation
    slave.master.sql("CREATE USER late@localhost IDENTIFIED BY 'x'; INSERT INTO shop.t (w) VALUES ('d')")
    until(lambda: slave.has(COUNT, "4"), "the fourth row is there")
    assert slave.ask("SELECT User FROM mysql.user WHERE User IN ('late', 'web', 'hotsync_stream')") == ""


def test_the_password_is_in_no_argument_no_log_and_no_dump(following: Streamed) -> None:
    password = load_streaming(following.pair.master.paths)[NAME].password
    assert len(password) == 32
    assert not any(password in line for line in following.units.lines)
    assert password not in following.units.log.read_text()
    for log in (following.master.folder / "log", *(following.master.folder / "data").glob("hotsync-bin.0*")):
        assert password.encode() not in log.read_bytes()
    spool = following.pair.master.paths.spool / NAME
    holders = [path for path in spool.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert [path.name for path in holders] == ["stream.json"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    assert b"hotsync_stream" not in (spool / "accounts.sql").read_bytes()


def test_a_break_in_the_middle_costs_nothing_that_was_committed(following: Streamed) -> None:
    following.stop_streaming()
    following.master.sql("INSERT INTO shop.t (w) SELECT 'x' FROM shop.seq_1_to_1000")
    until(lambda: not following.follows(), "it sees that it was cut off")
    following.start_streaming()
    until(lambda: following.has(COUNT, "1002"), "the rows are there")


def test_a_cable_that_is_pulled_in_the_middle_costs_nothing_and_it_goes_on_by_itself(following: Streamed) -> None:
    command.run(["nft", "-f", "-"], input=b"table inet cut { chain c { type filter hook input priority 0; drop; }; }")
    following.master.sql("INSERT INTO shop.t (w) SELECT REPEAT('x', 10000) FROM shop.seq_1_to_1000")
    until(lambda: not following.standby.offered, "the SLAVE notices", turns=1200)
    following.master.sql("INSERT INTO shop.t (w) VALUES ('while it was cut')")
    assert following.has(COUNT, "2")
    command.run(["nft", "delete", "table", "inet", "cut"])
    until(lambda: following.has(COUNT, "1003"), "nothing is lost", turns=1200)
    until(following.follows, "it follows again")
    assert following.standing().apply_error == ""


def test_a_promotion_takes_over_what_was_committed_after_the_last_sync(following: Streamed) -> None:
    following.master.sql("INSERT INTO shop.t (w) SELECT 'x' FROM shop.seq_1_to_500; DROP TABLE shop.gone")
    until(lambda: following.has(COUNT, "502"), "the rows are there")
    until(lambda: following.standing().has_all_received, "all is applied")
    before = following.pair.slave.clock.now()
    following.master.kill()
    following.stop_streaming()
    until(lambda: not following.follows(), "it sees that it was cut off")
    shown = following.shown()
    assert (shown.answers, shown.holds_dump) == (True, True)
    assert before - 10 < shown.as_of <= following.pair.slave.clock.now()
    assert following.take_over()
    ((taken, why),) = following.noted
    assert (why, taken.as_of, taken.position) == ("", shown.as_of, shown.position)
    assert taken.position.startswith("77 0-77-")
    assert following.units.running == {}
    assert list(following.standby.data.glob("*hotsync*")) == []
    assert standbys.was_taken_over(following.paths, following.dump, 1)
    assert not standbys.was_taken_over(following.paths, following.dump, 2)
    # a promotion that was cut goes on
    assert following.take_over()
    folder = following.paths.replica / "tree/var/lib/hotsync/spool" / NAME
    with following.production() as production:
        digest = mariadb_load.restore_accounts(folder, Dataset("mariadb", "default", socket=production.socket))
        assert digest == following.dump.digest
        assert production.sql(COUNT).strip() == "502"
        assert production.sql("SHOW SLAVE STATUS; SELECT @@gtid_slave_pos").strip() == ""
        assert "GRANT ALL PRIVILEGES ON `shop`.*" in production.sql("SHOW GRANTS FOR web@localhost")
        assert "late" not in production.sql("SELECT User FROM mysql.user")


def test_the_last_dump_stays_while_the_replica_has_applied_all_and_every_run_dumps_when_it_has_not(
    following: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_binlog, "_LOOKS", 1)
    monkeypatch.setattr(mariadb, "inspect", lambda _: (following.dataset,))

    def is_followed_now(link: PeerLink) -> bool:
        return is_followed(following.dataset, lambda: link.alive(asks=True).applied)

    def run(link: PeerLink) -> dict[str, DatasetPoint]:
        context = Context(following.pair.master.paths)
        pace = Pace(3600.0, lambda dataset: is_followed(dataset, lambda: link.alive(asks=True).applied))
        done = collect_all(context, pace=pace, sources=(mariadb,))
        assert done.failures == ()
        return {point.name: point for point in done.points}

    with following.pair.link() as link:
        until(lambda: is_followed_now(link), "it has applied all")
        first = run(link)
        following.master.sql("INSERT INTO shop.t (w) VALUES ('c')")
        until(lambda: is_followed_now(link), "it has applied that, too")
        assert run(link) == first
        assert {point.streamed for point in first.values()} == {True}
        # accounts, and what is to be known of events, are not streamed
        for sql in ("CREATE USER late@localhost", "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DISABLE DO SET @x = 1"):
            following.master.sql(sql)
            until(lambda: is_followed_now(link), "it has applied that, too")
            before, first = first, run(link)
            assert first["mariadb/default"].taken_at > before["mariadb/default"].taken_at, sql
            assert run(link) == first
        # what the SLAVE does not say, or says of another server, counts for nothing
        assert not is_followed(following.dataset)
        assert not is_followed(following.dataset, lambda: {NAME: "78 0-77-999999"})
        # it receives, and does not apply
        following.ask("STOP SLAVE SQL_THREAD")
        following.master.sql("INSERT INTO shop.t (w) VALUES ('d')")
        assert not is_followed_now(link)
        later = run(link)
        assert later.keys() == first.keys()
        assert all(point.taken_at > first[name].taken_at and not point.streamed for name, point in later.items())
        following.ask("START SLAVE SQL_THREAD")
        until(lambda: is_followed_now(link), "it goes on")
        assert applied(following.paths)[NAME].startswith("77 ")
        # nobody is connected, whatever it says
        following.stop_streaming()
        until(lambda: not following.follows(), "it is cut off")
        place = following.master.sql("SELECT @@gtid_binlog_pos").strip()
        until(lambda: not is_followed(following.dataset, lambda: {NAME: f"77 {place}"}), "the MASTER sees it, too")


def test_a_dump_with_an_older_database_begins_no_copy_and_a_standby_that_follows_holds_it(following: Streamed) -> None:
    following.master.sql(
        "CREATE DATABASE isam; CREATE TABLE isam.t (w text) ENGINE=MyISAM;INSERT INTO isam.t VALUES (REPEAT('x', 1000))"
    )
    until(lambda: following.has("SELECT COUNT(*) FROM isam.t", "1"), "the table is there")
    following.sync()
    following.master.sql("FLUSH TABLES")
    os.truncate(following.master.folder / "data/isam/t.MYD", 100)
    following.master.sql("INSERT INTO shop.t (w) VALUES ('c')")
    following.sync()
    until(lambda: following.shown().holds_dump, "it has what the dump has of the others")
    following.units.kill()
    with pytest.raises(RestoreFailed, match="tables without transactions"):
        following.tend()
    with pytest.raises(RestoreFailed, match="its last dump has only an older copy of isam"):
        following.tend()
    following.master.sql("DROP TABLE isam.t")
    following.sync()
    following.tend()
    until(following.follows, "it follows again")


def test_events_get_the_state_that_they_had_on_the_master(slave: Streamed) -> None:
    slave.master.sql(
        "USE shop; CREATE EVENT a ON SCHEDULE EVERY 1 DAY DO SET @x = 1;"
        "CREATE EVENT b ON SCHEDULE EVERY 1 DAY DISABLE DO SET @x = 1;"
        "CREATE EVENT c ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SET @x = 1;"
    )
    slave.sync()
    slave.start_streaming()
    slave.tend()
    slave.master.sql(
        "USE shop; ALTER EVENT a ON SCHEDULE EVERY 2 DAY; ALTER EVENT b ON SCHEDULE EVERY 2 DAY;"
        "CREATE DEFINER=web@localhost EVENT d ON SCHEDULE EVERY 1 DAY DO SET @x = 1; INSERT INTO t (w) VALUES ('c')"
    )
    until(lambda: slave.has(COUNT, "3"), "all is there")
    assert slave.take_over()
    with slave.production() as production:
        asked = "SELECT EVENT_NAME, STATUS, DEFINER FROM information_schema.EVENTS ORDER BY 1"
        assert production.sql(asked).split("\n")[:4] == [
            "a\tENABLED\troot@localhost", "b\tDISABLED\troot@localhost", "c\tSLAVESIDE_DISABLED\troot@localhost",
            "d\tENABLED\tweb@localhost",
        ]  # fmt: skip


def test_a_standby_that_lacks_what_the_last_dump_holds_is_given_up_for_the_dump(
    following: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "_CATCH_UP_LOOKS", 1)
    following.master.sql("CREATE DATABASE later")
    until(lambda: following.has("SHOW DATABASES LIKE 'later'", "later"), "it is there")
    following.stop_streaming()
    until(lambda: not following.follows(), "it is cut off")
    following.master.sql("INSERT INTO shop.t (w) VALUES ('c'); DROP DATABASE later")
    following.sync()
    assert not following.shown().holds_dump
    assert not following.take_over()
    assert [why for _, why in following.noted] == ["it lacks what the last dump holds"]
    assert following.units.running == {}
    assert list(following.standby.data.glob("*hotsync*")) == []
    assert not standbys.was_taken_over(following.paths, following.dump, 1)
    following.load()
    with following.production() as production:
        assert production.sql(COUNT).strip() == "3"
        assert "later" not in production.databases()


def test_a_promotion_that_was_cut_goes_on(following: Streamed, monkeypatch: pytest.MonkeyPatch) -> None:
    following.master.sql("INSERT INTO shop.t (w) VALUES ('c')")
    until(lambda: following.has(COUNT, "3"), "the row is there")

    def cut(*_: object) -> None:
        raise RestoreFailed(dataset=NAME, reason="the power went")

    with monkeypatch.context() as patch:
        patch.setattr(mariadb_standby, "make_durable", cut)
        with pytest.raises(RestoreFailed, match="the power went") as failed:
            following.take_over()
    assert f"move {following.standby.data} away" in failed.value.hint
    assert standbys.is_standby(following.paths, following.dump)
    following.units.kill()
    # the MASTER, which is there, is not asked any more
    assert following.take_over()
    with following.production() as production:
        assert production.sql(COUNT).strip() == "3"


def test_a_slave_that_is_away_fills_no_disk_and_is_loaded_anew(following: Streamed) -> None:
    following.stop_streaming()
    until(lambda: not following.follows(), "it is cut off")
    paths = following.pair.master.paths
    tend = mariadb_streaming.tend
    row = "INSERT INTO shop.t (w) SELECT REPEAT('x', 900000) FROM shop.seq_1_to_10"
    for _ in range(3):
        following.master.sql(row)
    said = tend(paths, NAME, load_streaming(paths)[NAME], 16)
    assert "it is given up, and the SLAVE loads its dump anew" in said
    assert load_streaming(paths)[NAME].gave_up
    following.master.sql(f"{row}; {row}")
    assert tend(paths, NAME, load_streaming(paths)[NAME], 16) == ""
    logs = list((following.master.folder / "data").glob("hotsync-bin.0*"))
    # of 18 MB; the server itself keeps a file until what it holds is safe in its tables, which may last a moment
    assert sum(path.stat().st_size for path in logs) < 16 * 2**20
    following.start_streaming()
    until(lambda: following.standing().lost, "the MASTER says that it is gone")
    facts = following.facts()
    assert facts is not None
    assert facts.trouble == "mariadb/default: the MASTER has not kept what is missing here"
    assert facts.to_do == "", "the dump that it was made from would only lead here again"
    following.sync()
    facts = following.facts()
    assert facts is not None
    assert "has not kept what is missing" in facts.to_do
    following.tend()
    following.master.sql("INSERT INTO shop.t (w) VALUES ('at last')")
    until(lambda: following.has("SELECT COUNT(*) FROM shop.t WHERE w = 'at last'", "1"), "it follows again")
    assert tend(paths, NAME, load_streaming(paths)[NAME], 16) == ""
    assert not load_streaming(paths)[NAME].gave_up


def test_a_change_that_cannot_be_applied_makes_it_load_the_dump_anew(following: Streamed) -> None:
    following.ask("INSERT INTO shop.t VALUES (3, 'somebody wrote here')")
    following.master.sql("INSERT INTO shop.t (w) VALUES ('c')")
    until(lambda: following.standing().apply_error != "", "it cannot apply it")
    facts = following.facts()
    assert facts is not None
    assert "Duplicate entry" in facts.to_do
    following.tend()
    until(lambda: following.has("SELECT w FROM shop.t WHERE n = 3", "c"), "the row is the MASTER's")


def test_after_an_end_in_the_middle_it_goes_on_unless_tables_have_no_transactions(following: Streamed) -> None:
    following.units.kill()
    following.tend()
    until(following.follows, "it follows again")
    assert not following.standby.ended_uncleanly
    following.master.sql("CREATE TABLE shop.m (n int) ENGINE=MyISAM")
    until(lambda: following.has("SELECT COUNT(*) FROM shop.m", "0"), "the table is there")
    following.units.kill()
    with pytest.raises(RestoreFailed, match="tables without transactions"):
        following.tend()
    facts = following.facts()
    assert facts is not None
    assert "tables without transactions" in facts.to_do
    following.sync()
    following.tend()
    until(following.follows, "it follows again")


def test_a_copy_is_kept_while_the_master_is_away_and_given_up_when_it_streams_no_more(
    following: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "_COMES_BACK_SECONDS", 0.01)
    following.stop_streaming()
    following.connected(yes=False)
    following.master.sql("INSERT INTO shop.t (w) VALUES ('c')")
    following.sync()
    facts = following.facts()
    assert facts is not None
    assert (facts.to_do, facts.trouble) == ("", "")
    following.connected(yes=True)
    facts = following.facts()
    assert facts is not None
    assert facts.over == "the MASTER streams it no more"
    following.tend()
    assert following.facts() is None
    assert following.units.running == {}
    assert not standbys.is_standby(following.paths, following.dump)


def test_what_cannot_be_streamed_is_said(slave: Streamed, monkeypatch: pytest.MonkeyPatch) -> None:
    slave.start_streaming()
    with monkeypatch.context() as patch:
        patch.setattr(standby_mariadb, "version_here", lambda: "11.4.2-MariaDB")
        facts = slave.facts()
        assert facts is not None
        assert "the one here 11.4.2-MariaDB" in facts.trouble
        assert facts.to_do == ""
    with monkeypatch.context() as patch:
        patch.setattr(mariadb_waiting, "mariadb_places", lambda *_: {"innodb_data_home_dir": "/srv/x"})
        facts = slave.facts()
        assert facts is not None
        assert facts.hindrance == "it keeps files outside of its data directory (innodb_data_home_dir is /srv/x)"
    slave.master.sql("CREATE TABLE shop.fleeting (n int) ENGINE=MEMORY")
    slave.sync()
    facts = slave.facts()
    assert facts is not None
    assert facts.hindrance == "no replica can keep its tables shop.fleeting (MEMORY)"
    slave.tend()
    assert slave.units.running == {}


def test_switched_off_nothing_stays_on_the_master_but_the_log_until_the_next_restart(following: Streamed) -> None:
    paths, data = following.pair.master.paths, following.master.folder / "data"
    options = Path(load_streaming(paths)[NAME].options)
    assert "server_id = 77" in options.read_text()
    following.stop_streaming()
    said = mariadb_streaming.tend_all(paths, 0)
    assert said == [
        "mariadb/default is not streamed any more; its binary log ends with the next restart of mariadb.service"
    ]
    assert mariadb_streaming.tend_all(paths, 0) == []
    assert not options.exists()
    assert following.master.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'hotsync_stream'").strip() == "0"
    assert [path.name for path in data.glob("hotsync-bin.0*")] == ["hotsync-bin.000001"]
    following.sync()
    assert not (paths.spool / NAME / "stream.json").exists()
    # what the restart leaves goes with the next look
    with servers.mariadb(data) as restarted:
        server = load_streaming(paths)[NAME]
        note_streaming(
            paths, NAME, type(server)(restarted.socket, server.unit, "", server.options, str(restarted.folder / "data"))
        )
        assert mariadb_streaming.tend_all(paths, 0) == []
        assert list((restarted.folder / "data").glob("hotsync-bin*")) == []
    assert load_streaming(paths) == {}
