import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.config import schema
from hotsync.config.defaults import RECORDS
from hotsync.config.schema import KEYS, PROPS, Fault, Settings, load_settings, read_settings, validate_for_save
from hotsync.config.values import Databases, Relay
from hotsync.errors import ConfigError, ExitCode
from hotsync.model.identity import Role
from hotsync.model.secret import Secret

MASTER = {
    "hotsync": {"status": "enabled", "role": "master", "SlaveHost": "10.77.0.2", "SlavePort": "273"},
    "rsyncd": {"password": "geheim"},
}
INSTALLED = {key: dict(props) for key, (_, props) in RECORDS.items()}


def names(faults: list[Fault] | tuple[Fault, ...]) -> list[str]:
    return [f"{fault.record}.{fault.prop}" for fault in faults]


def test_an_installed_server_has_the_defaults() -> None:
    settings = load_settings(INSTALLED)
    assert settings == Settings()
    assert (settings.enabled, settings.role, settings.slave_port) == (True, Role.NONE, 273)
    assert (settings.databases, settings.streams, settings.stream_keep_mb) == (Databases.ENABLED, False, 1024)
    assert settings.stream_dump_minutes == 60
    assert (settings.interval_minutes, settings.slave_interval_minutes, settings.quiet_minutes) == (15, 60, 45)
    assert (settings.keep_all_hours, settings.keep_quarter_hours) == (2, 24)
    assert (settings.keep_hourly_days, settings.keep_daily_days) == (3, 30)
    assert (settings.floor_days, settings.floor_generations, settings.bandwidth_limit) == (7, 3, 0)
    assert (settings.notify_to, settings.notify_from, settings.notify_relay) == ("root", "", None)
    assert (settings.guard_share, settings.guard_files) == (50, 1000)
    assert (settings.stall_seconds, settings.clock_skew_seconds, settings.resume_at_boot) == (120, 300, False)


def test_what_installation_writes_are_the_defaults_of_the_settings() -> None:
    for row in PROPS:
        if row.record in RECORDS and row.name in RECORDS[row.record][1]:
            assert RECORDS[row.record][1][row.name] == row.default, row.path


def test_the_defaults_have_no_fault() -> None:
    for row in PROPS:
        row.kind.parse(row.default)


def test_the_example_of_each_setting_is_allowed_or_a_placeholder() -> None:
    for row in PROPS:
        if row.example and not row.example.startswith("<"):
            row.kind.parse(row.example)


def test_values_are_read_from_the_records() -> None:
    settings = load_settings(
        {**MASTER, "hotsync": {**MASTER["hotsync"], "NotifyRelay": "mx:26", "ResumeAtBoot": "yes"}}
    )
    assert settings.role is Role.MASTER
    assert settings.peer_host == "10.77.0.2"
    assert settings.password == Secret("geheim")
    assert settings.notify_relay == Relay("mx", 26)
    assert settings.resume_at_boot


def test_the_peer_of_a_slave_is_its_master() -> None:
    assert Settings(role=Role.SLAVE, slave_host="a", master_host="b").peer_host == "b"


def test_an_empty_prop_counts_as_not_set() -> None:
    assert load_settings({"hotsync": {"IntervalMinutes": "", "status": "", "NotifyTo": ""}}) == Settings()


def test_props_that_nobody_knows_are_left_alone() -> None:
    assert load_settings({"hotsync": {"mine": "1"}, "other": {"x": "y"}}) == Settings()


def test_all_faults_are_found_at_once_with_prop_and_hint() -> None:
    wrong = {
        "hotsync": {
            "status": "on",
            "role": "king",
            "SlaveHost": "127.0.0.1",
            "MasterHost": "a b",
            "SlavePort": "99999",
            "IntervalMinutes": "0",
            "NotifyRelay": "a:b",
            "ResumeAtBoot": "maybe",
        },
        "rsyncd": {"password": "ge\nheim"},
    }
    settings, faults = read_settings(wrong)
    assert names(faults) == [
        "hotsync.status",
        "hotsync.role",
        "hotsync.SlaveHost",
        "hotsync.MasterHost",
        "hotsync.SlavePort",
        "hotsync.IntervalMinutes",
        "hotsync.NotifyRelay",
        "hotsync.ResumeAtBoot",
        "rsyncd.password",
    ]
    assert all(f"config setprop {fault.record} {fault.prop} " in fault.hint for fault in faults)
    assert settings == Settings()
    with pytest.raises(ConfigError) as caught:
        load_settings(wrong)
    assert caught.value.exit_code is ExitCode.USAGE
    assert all(str(fault) in caught.value.sentence for fault in faults)
    assert "heim" not in caught.value.sentence


def test_a_fault_in_one_prop_leaves_the_others_as_they_are_set() -> None:
    settings, faults = read_settings({**MASTER, "hotsync": {**MASTER["hotsync"], "GuardShare": "101"}})
    assert names(faults) == ["hotsync.GuardShare"]
    assert (settings.guard_share, settings.role, settings.slave_host) == (50, Role.MASTER, "10.77.0.2")


def test_a_complete_master_and_a_complete_slave_can_be_saved() -> None:
    assert validate_for_save(load_settings(MASTER)) == []
    assert validate_for_save(Settings(role=Role.SLAVE, master_host="10.77.0.1", password=Secret("x"))) == []


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (Settings(), ["hotsync.role", "rsyncd.password"]),
        (Settings(role=Role.MASTER), ["hotsync.SlaveHost", "rsyncd.password"]),
        (Settings(role=Role.SLAVE), ["hotsync.MasterHost", "rsyncd.password"]),
        (Settings(role=Role.MASTER, master_host="10.0.0.1", password=Secret("x")), ["hotsync.SlaveHost"]),
        (Settings(role=Role.SLAVE, slave_host="10.0.0.1", password=Secret("x")), ["hotsync.MasterHost"]),
        (Settings(role=Role.SLAVE, master_host="10.0.0.1"), ["rsyncd.password"]),
        (
            Settings(role=Role.SLAVE, master_host="10.0.0.1", password=Secret("x"), check_user="anna"),
            ["hotsync.CheckPassword"],
        ),
    ],
)
def test_everything_that_is_missing_is_named_at_once(settings: Settings, missing: list[str]) -> None:
    faults = validate_for_save(settings)
    assert names(faults) == missing
    assert all(fault.hint.startswith("Set it: config setprop ") for fault in faults)


def test_hotsync_can_be_switched_off_whatever_is_missing() -> None:
    assert validate_for_save(Settings(enabled=False)) == []


def test_the_password_shows_nowhere_in_the_settings() -> None:
    settings = load_settings(MASTER)
    assert "geheim" not in repr(settings) + str(settings) + repr(settings.model_dump())


def test_the_records_that_settings_are_read_from() -> None:
    assert KEYS == ("hotsync", "rsyncd")
    assert len({row.path for row in PROPS}) == len(PROPS) == len(Settings.model_fields)


@given(st.dictionaries(st.sampled_from([row.path for row in PROPS]), st.text()))
def test_any_values_give_settings_and_a_fault_for_each_prop_that_is_wrong(given_props: dict[str, str]) -> None:
    records: dict[str, dict[str, str]] = {}
    for path, value in given_props.items():
        record, _, name = path.partition(".")
        records.setdefault(record, {})[name] = value
    settings, faults = read_settings(records)
    for row in schema.PROPS:
        value = given_props.get(row.path) or row.default
        try:
            row.kind.parse(value)
        except ValueError:
            assert row.path in names(faults)
        else:
            assert row.path not in names(faults)
    assert isinstance(settings, Settings)
