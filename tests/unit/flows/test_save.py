from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.packages import apt
from hotsync.config.schema import Settings
from hotsync.errors import ConfigError, Refused, SourceError
from hotsync.flows.save import Surroundings, plan_role, save
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.state import store
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.promotion import save_promotion
from hotsync.state.returned import Returned, load_returned
from hotsync.system.paths import Paths
from tests.support.system_log import KeptLog

PEER = Peer("slave", "10.77.0.2", "ab" * 32, "certificate")


class FakeUnits:
    def __init__(self) -> None:
        self.reloads = 0
        self.arranged: list[tuple[Role, bool, list[str]]] = []
        self.streams = self.watches = self.drills = False

    def reload(self) -> None:
        self.reloads += 1

    def arrange(
        self,
        role: Role,
        *,
        enabled: bool,
        changed: Sequence[str] = (),
        streams: bool = False,
        watches: bool = False,
        drills: bool = False,
    ) -> None:
        self.streams, self.watches, self.drills = streams, watches, drills
        self.arranged.append((role, enabled, list(changed)))


class FakeClock:
    def now(self) -> float:
        return 1000.0

    def now_ns(self) -> int:
        return 1000 * 10**9

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError


class Server:
    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.units = FakeUnits()
        self.said: list[str] = []
        self.tended: list[int] = []
        self.left: list[str] = []
        self.waits: list[str] = []
        self.unfound: SourceError | None = None
        ensure_records(self.paths)

    def set(self, record: str, **props: str) -> None:
        assert configuration(self.paths).set_props(record, props)

    def save(self) -> None:
        here = Surroundings(self.paths, self.units, FakeClock(), self.tend, self.set_up)
        save(here, self.said.append)

    def set_up(self, paths: Paths) -> list[str]:
        assert paths == self.paths
        if self.unfound is not None:
            raise self.unfound
        return self.waits

    def tend(self, paths: Paths, keep_mb: int) -> list[str]:
        assert paths == self.paths
        self.tended.append(keep_mb)
        return self.left

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.paths.root)): path.read_bytes()
            for path in sorted(self.paths.root.rglob("*"))
            if path.is_file() and "run/" not in str(path) and not path.name.endswith(".lock")
        }


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    return Server(tmp_path)


def set_up_master(server: Server) -> None:
    server.set("rsyncd", password="geheim")
    server.set("hotsync", role="master")
    server.set("hotsync", SlaveHost="10.77.0.2")


def set_up_slave(server: Server) -> None:
    server.set("rsyncd", password="geheim")
    server.set("hotsync", role="slave")
    server.set("hotsync", MasterHost="10.77.0.1")


def test_the_manuals_words_make_a_master(server: Server) -> None:
    set_up_master(server)
    server.save()
    record = store.load_role(server.paths)
    assert record == RoleRecord(Role.MASTER, 0, None, 1000.0, "set up by signal-event nethserver-hotsync-save")
    assert server.paths.production_flag.exists()
    assert server.units.arranged == [
        (Role.MASTER, True, ["hotsync.timer", "hotsync-slave.timer", "hotsync-drill.timer"])
    ]
    assert server.said == ["This server is MASTER; it syncs to 10.77.0.2 every 15 minutes."]


def test_the_manuals_words_make_a_slave(server: Server) -> None:
    set_up_slave(server)
    server.save()
    assert store.load_role(server.paths).role is Role.SLAVE
    assert not server.paths.production_flag.exists()
    assert server.units.arranged == [
        (Role.SLAVE, True, ["hotsync.timer", "hotsync-slave.timer", "hotsync-drill.timer"])
    ]


def test_nethservers_yum_plugin_follows_the_role(server: Server) -> None:
    plugin = server.paths.at("/etc/yum/pluginconf.d/nethserver_events.conf")
    plugin.parent.mkdir(parents=True)
    plugin.write_text("[main]\nenabled = 1\n")
    set_up_slave(server)
    server.save()
    assert plugin.read_text() == "[main]\nenabled = 0\n"
    assert server.said[0] == "NethServer's yum plugin is switched off while this server is a SLAVE."
    set_up_master(server)
    server.save()
    assert plugin.read_text() == "[main]\nenabled = 1\n"


def test_the_word_of_a_cut_install_that_nothing_may_start_stays_on_a_slave_only(server: Server) -> None:
    policy = server.paths.at(apt.POLICY)
    policy.parent.mkdir(parents=True)
    policy.write_bytes(apt.POLICY_TEXT)
    set_up_slave(server)
    server.save()
    assert policy.exists(), "an install may be under way"
    server.set("hotsync", role="master", SlaveHost="10.77.0.2", MasterHost="")
    server.save()
    assert not policy.exists()


def test_saving_again_writes_nothing_and_reloads_nothing(server: Server) -> None:
    set_up_master(server)
    server.save()
    before, reloads = server.files(), server.units.reloads
    server.save()
    assert server.files() == before
    assert server.units.reloads == reloads
    assert server.units.arranged[-1] == (Role.MASTER, True, [])


def test_every_fault_is_named_at_once_and_nothing_is_changed(server: Server) -> None:
    server.set("hotsync", role="master", SlavePort="0", MasterHost="localhost", IntervalMinutes="soon")
    before = server.files()
    with pytest.raises(ConfigError) as caught:
        server.save()
    for prop in (
        "hotsync SlavePort",
        "hotsync MasterHost",
        "hotsync IntervalMinutes",
        "hotsync SlaveHost",
        "rsyncd password",
    ):
        assert caught.value.sentence.count(f"{prop}: ") == 1
        assert f"config setprop {prop} " in caught.value.sentence
    assert server.files() == before
    assert server.units.arranged == []


def test_a_prop_with_a_wrong_value_is_not_called_missing_too(server: Server) -> None:
    server.set("hotsync", role="king")
    with pytest.raises(ConfigError) as caught:
        server.save()
    assert caught.value.sentence.count("hotsync role: ") == 1


def test_a_server_that_was_told_nothing_is_told_what_is_missing(server: Server) -> None:
    with pytest.raises(ConfigError, match="not said whether"):
        server.save()


def test_a_missing_record_is_a_fault_with_a_way_out(server: Server) -> None:
    configuration(server.paths).update(lambda document: document.clear())
    with pytest.raises(ConfigError, match="hotsync-records"):
        server.save()


def test_disabled_stops_everything_and_keeps_role_and_peer(server: Server) -> None:
    set_up_slave(server)
    server.save()
    store.save_peer(server.paths, PEER)
    server.set("hotsync", status="disabled", MasterHost="")
    server.save()
    assert server.units.arranged[-1] == (Role.SLAVE, False, [])
    assert store.load_role(server.paths).role is Role.SLAVE
    assert store.load_peer(server.paths) == PEER
    assert "disabled" in server.said[-1]


def test_a_new_interval_starts_its_timer_anew(server: Server) -> None:
    set_up_master(server)
    server.save()
    server.set("hotsync", IntervalMinutes="5")
    server.save()
    assert server.units.arranged[-1] == (Role.MASTER, True, ["hotsync.timer"])
    assert server.units.reloads == 2


def test_the_nightly_drill_can_be_set_and_switched_off(server: Server) -> None:
    set_up_slave(server)
    server.save()
    assert server.units.drills
    server.set("hotsync", Drill="disabled", DrillAt="23:05")
    server.save()
    assert not server.units.drills
    assert server.units.arranged[-1] == (Role.SLAVE, True, ["hotsync-drill.timer"])


def test_a_server_that_is_not_paired_may_change_its_role(server: Server) -> None:
    set_up_slave(server)
    server.save()
    set_up_master(server)
    server.save()
    assert store.load_role(server.paths).role is Role.MASTER


@pytest.mark.parametrize(
    ("role", "prop", "command"),
    [(Role.SLAVE, "master", "hotsync-promote"), (Role.MASTER, "slave", "install it anew as SLAVE")],
)
def test_the_role_of_a_paired_server_is_refused_with_the_way_that_changes_it(
    server: Server, role: Role, prop: str, command: str
) -> None:
    set_up_master(server)
    set_up_slave(server)
    server.set("hotsync", role=prop)
    store.save_role(server.paths, RoleRecord(role, 2))
    store.save_peer(server.paths, PEER)
    before = server.files()
    with pytest.raises(Refused) as caught:
        server.save()
    assert command in caught.value.hint
    assert f"config setprop hotsync role {role.value}" in caught.value.hint
    assert server.files() == before
    assert server.units.arranged == []


@pytest.mark.parametrize(
    ("role", "changed", "given_up"),
    [
        (RoleRecord(Role.MASTER, 3), {}, True),
        (RoleRecord(Role.MASTER, 3), {"status": "disabled"}, False),
        (RoleRecord(Role.MASTER, 3), {"SlaveHost": "10.77.0.9"}, False),
        (RoleRecord(Role.MASTER, 4), {}, False),
        (RoleRecord(Role.SLAVE, 3), {"role": "slave", "MasterHost": "10.77.0.1"}, False),
    ],
)
def test_a_promoted_master_gives_its_standby_address_up_once_the_slave_is_said_to_be_there(
    server: Server, role: RoleRecord, changed: dict[str, str], given_up: bool
) -> None:
    set_up_master(server)
    server.set("hotsync", **changed)
    store.save_role(server.paths, role)
    plan = NetworkPlan(standby=(Address("eth0", "10.77.0.2", 24),))
    promotion = Promotion(3, 7, "d", 1.0, 1.0, 1.0, plan, ())
    save_promotion(server.paths, promotion)
    server.save()
    assert load_returned(server.paths) is None  # while it is unfinished, the settings may be the other server's
    save_promotion(server.paths, replace(promotion, finished_at=2.0))
    server.save()
    assert load_returned(server.paths) == (Returned("10.77.0.2", 1000.0) if given_up else None)


def test_the_replica_and_what_was_collected_are_never_touched(server: Server) -> None:
    kept = [
        server.paths.replica / "tree/etc/passwd",
        server.paths.spool / "mariadb/a.sql",
        server.paths.backup / "x.tar.xz",
    ]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("kept")
    set_up_slave(server)
    server.save()
    set_up_master(server)
    server.save()
    assert all(path.read_text() == "kept" for path in kept)


def test_an_unfinished_promotion_is_not_overruled() -> None:
    with pytest.raises(Refused, match="not finished"):
        plan_role(Settings(role=Role.MASTER), RoleRecord(Role.SLAVE, 1, 2), None, 0.0)


def test_the_epoch_stays_when_a_role_is_set_anew() -> None:
    assert plan_role(Settings(role=Role.SLAVE), RoleRecord(Role.MASTER, 4), None, 9.0).epoch == 4


def test_switching_off_is_never_refused_for_the_role() -> None:
    record = RoleRecord(Role.SLAVE, 1)
    assert plan_role(Settings(role=Role.MASTER, enabled=False), record, PEER, 0.0) == record


def test_a_master_streams_when_it_is_told_to_and_takes_everything_back_when_it_is_not(server: Server) -> None:
    set_up_master(server)
    server.set("hotsync", databases="streaming")
    server.save()
    assert server.units.streams
    assert server.tended == []
    assert server.said[-1].endswith("and streams its databases.")
    server.left = ["What streaming had made is gone"]
    for props in ({"databases": "enabled"}, {"databases": "streaming", "status": "disabled"}):
        server.set("hotsync", **props)
        server.save()
        assert not server.units.streams
        assert server.tended.pop() == 0
        assert "What streaming had made is gone." in server.said


def test_what_streaming_still_waits_for_is_said_and_servers_that_cannot_be_found_hinder_nothing(
    server: Server,
) -> None:
    set_up_master(server)
    server.set("hotsync", databases="streaming")
    server.waits = ["mariadb/default waits for a restart of mariadb.service."]
    server.save()
    assert server.waits[0] in server.said
    server.unfound = SourceError(dataset="mariadb", reason="ss is missing")
    server.save()
    assert server.units.streams
    assert any("Databases are not streamed yet" in sentence for sentence in server.said)


def test_a_slave_streams_nothing_whatever_it_is_set_to(server: Server) -> None:
    set_up_slave(server)
    server.set("hotsync", databases="streaming")
    server.save()
    assert not server.units.streams
    assert server.tended == []
