"""The settings: what each prop means, which values it may have, and all faults of a configuration at once.

A setting is said once, as a field of `Settings`; the table of docs/settings.md is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from hotsync.config.values import (
    DATABASES,
    NO_ANSWER,
    ROLE,
    SWITCH,
    YES_NO,
    Databases,
    Host,
    HostPort,
    IpAddress,
    Kind,
    Names,
    Number,
    Relay,
    RelayHost,
    SecretText,
    Text,
    TimeOfDay,
)
from hotsync.errors import ConfigError
from hotsync.model.identity import Role
from hotsync.model.secret import Secret

Records = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Prop:
    """One setting: where it is stored, its default as typed, and what people need to know of it."""

    record: str
    name: str
    kind: Kind
    default: str
    meaning: str
    unit: str = ""
    example: str = ""

    @property
    def path(self) -> str:
        """Return record and prop as one word."""
        return f"{self.record}.{self.name}"

    @property
    def command(self) -> str:
        """Return a command that sets this to a value which is allowed."""
        return f"config setprop {self.record} {self.name} {self.example or self.default}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the settings: where, what, and a thing to do about it."""

    record: str
    prop: str
    sentence: str
    hint: str

    def __str__(self) -> str:
        """Return the fault with its hint in one line."""
        return f"{self.record} {self.prop}".rstrip() + f": {self.sentence}. {self.hint}"


_rows: dict[str, Prop] = {}


def _setting(
    record: str, name: str, kind: Kind, default: str, meaning: str, *, unit: str = "", example: str = ""
) -> Any:
    row = Prop(record, name, kind, default, meaning, unit, example)
    _rows[row.path] = row
    return Field(default=default, validate_default=True, alias=row.path)


class Settings(BaseModel):
    """All settings of this server; a prop that is missing or empty has its default."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore", arbitrary_types_allowed=True)

    enabled: bool = _setting(
        "hotsync", "status", SWITCH, "enabled", "`disabled` stops the daemon and the timers; data and pairing stay"
    )
    role: Role = _setting(
        "hotsync",
        "role",
        ROLE,
        "",
        "what this server is to become when it is set up; once paired, the role changes only by promotion",
        example="master",
    )
    slave_host: str = _setting("hotsync", "SlaveHost", Host(), "", "on the MASTER: the SLAVE", example="<SLAVE_IP>")
    master_host: str = _setting("hotsync", "MasterHost", Host(), "", "on the SLAVE: the MASTER", example="<MASTER_IP>")
    slave_port: int = _setting(
        "hotsync", "SlavePort", Number(1, 65535), "273", "TCP port of HotSync, the same on both servers"
    )
    databases: Databases = _setting(
        "hotsync",
        "databases",
        DATABASES,
        "enabled",
        "on the MASTER: carry databases (MariaDB, PostgreSQL, OpenLDAP, Redis, ejabberd); `disabled`: neither their "
        "dumps nor their files; `streaming`: dumps, and PostgreSQL and MariaDB also change by change, as they happen",
    )
    stream_keep_mb: int = _setting(
        "hotsync",
        "StreamKeepMB",
        Number(16, 100_000_000),
        "1024",
        "on the MASTER: most that a streamed database server keeps of its log for a SLAVE that is away, and never "
        "more than a quarter of the free space; past it the SLAVE gets a new copy of it when it is back",
        unit="MB",
    )
    stream_dump_minutes: int = _setting(
        "hotsync",
        "StreamDumpMinutes",
        Number(0, 1440),
        "60",
        "on the MASTER: how often a database server is dumped while the SLAVE follows it change by change; 0: in every "
        "run, as all others are",
        unit="minutes",
    )
    dumped_by_plugin: frozenset[str] = _setting(
        "hotsync",
        "DumpedByPlugin",
        Names("the names that runs and `hotsync coverage` give them, with commas between them"),
        "",
        "on the MASTER: database servers that a plugin of yours dumps, so that no run collects them or speaks of them",
        example="mariadb/default,mariadbd in container shop-db",
    )
    pause_seconds: int = _setting(
        "hotsync",
        "PauseSeconds",
        Number(0, 60),
        "10",
        "on the MASTER: for how long at most a run pauses a container or a service in which a database server runs, to "
        "copy of its files what has changed; 0: never, and they are copied while they are written",
        unit="seconds",
    )
    mail_queue: bool = _setting(
        "hotsync",
        "MailQueue",
        YES_NO,
        "no",
        "on the MASTER: carry the mail server's queue. `yes`: after a promotion mail that the MASTER delivered "
        "since the last run is delivered a second time, and runs warn of mail that went while they looked; `no`: mail "
        "that the MASTER accepted and did not deliver yet stays on its disk",
        example="yes",
    )
    interval_minutes: int = _setting(
        "hotsync", "IntervalMinutes", Number(1, 1440), "15", "on the MASTER: how often a sync starts", unit="minutes"
    )
    watch_seconds: int = _setting(
        "hotsync",
        "WatchSeconds",
        Number(0, 86_400),
        "60",
        "on the MASTER: how often it looks what is newer than the last generation and would be lost; 0: never",
        unit="seconds",
    )
    slave_interval_minutes: int = _setting(
        "hotsync",
        "SlaveIntervalMinutes",
        Number(1, 1440),
        "60",
        "on the SLAVE: how often packages, accounts and readiness are looked after",
        unit="minutes",
    )
    warm_minutes: int = _setting(
        "hotsync",
        "WarmMinutes",
        Number(0, 1440),
        "30",
        "on the SLAVE: how long a run of hotsync-slave goes on to begin loading changed databases beforehand, so that "
        "a promotion loads only what is newer; 0: none is loaded before a promotion",
        unit="minutes",
    )
    warm_gigabytes: int = _setting(
        "hotsync",
        "WarmGigabytes",
        Number(0, 1_000_000),
        "500",
        "on the SLAVE: a database server whose dumps are larger is not loaded beforehand",
        unit="GiB",
    )
    bandwidth_limit: int = _setting(
        "hotsync", "BandwidthLimit", Number(0, 100_000_000), "0", "most that a sync sends; 0: no limit", unit="KiB/s"
    )
    keep_all_hours: int = _setting(
        "hotsync", "KeepAllHours", Number(0, 87_600), "2", "how long every generation is kept", unit="hours"
    )
    keep_quarter_hours: int = _setting(
        "hotsync",
        "KeepQuarterHours",
        Number(0, 87_600),
        "24",
        "how long one generation a quarter of an hour is kept",
        unit="hours",
    )
    keep_hourly_days: int = _setting(
        "hotsync", "KeepHourlyDays", Number(0, 3650), "3", "how long one generation an hour is kept", unit="days"
    )
    keep_daily_days: int = _setting(
        "hotsync", "KeepDailyDays", Number(0, 3650), "30", "how long one generation a day is kept", unit="days"
    )
    floor_days: int = _setting(
        "hotsync",
        "FloorDays",
        Number(0, 3650),
        "7",
        "history reaches back at least this far, also when space is short",
        unit="days",
    )
    floor_generations: int = _setting(
        "hotsync",
        "FloorGenerations",
        Number(1, 10_000),
        "3",
        "history holds at least this many generations, also when space is short",
        unit="generations",
    )
    notify_to: str = _setting(
        "hotsync", "NotifyTo", Text("one or more mail addresses, comma between"), "root", "who gets the mails"
    )
    notify_from: str = _setting(
        "hotsync",
        "NotifyFrom",
        Text("a mail address"),
        "",
        "sender of the mails; empty: root at this server's name",
        example="hotsync@example.org",
    )
    notify_relay: Relay | None = _setting(
        "hotsync",
        "NotifyRelay",
        RelayHost(),
        "",
        "where the SLAVE hands its mails over by SMTP, since its own mail server is muted",
        example="mail.example.org:25",
    )
    quiet_minutes: int = _setting(
        "hotsync",
        "QuietMinutes",
        Number(1, 100_000),
        "45",
        "the SLAVE mails when its MASTER was quiet for longer",
        unit="minutes",
    )
    old_data_minutes: int = _setting(
        "hotsync",
        "OldDataMinutes",
        Number(1, 100_000),
        "120",
        "the SLAVE mails when no run of its MASTER came to its end for longer; at least two times the larger "
        "`IntervalMinutes` of both servers",
        unit="minutes",
    )
    guard_share: int = _setting(
        "hotsync",
        "GuardShare",
        Number(1, 100),
        "50",
        "a run that deletes or rewrites more than this share of all files is held",
        unit="percent",
    )
    guard_files: int = _setting(
        "hotsync",
        "GuardFiles",
        Number(0, 1_000_000_000),
        "1000",
        "below this many changed files the share is not asked",
        unit="files",
    )
    stall_seconds: int = _setting(
        "hotsync",
        "StallSeconds",
        Number(5, 86_400),
        "120",
        "a connection on which nothing moves for this long is given up",
        unit="seconds",
    )
    clock_skew_seconds: int = _setting(
        "hotsync",
        "ClockSkewSeconds",
        Number(1, 86_400),
        "300",
        "most that the clocks of both servers may differ",
        unit="seconds",
    )
    resume_at_boot: bool = _setting(
        "hotsync",
        "ResumeAtBoot",
        YES_NO,
        "no",
        "whether a promotion that a power cut interrupted goes on by itself at boot",
    )
    guard_seconds: int = _setting(
        "hotsync",
        "GuardSeconds",
        Number(0, 600),
        "20",
        "on a MASTER: how long a boot waits at most for the other server to say whether it was promoted meanwhile; on "
        "a SLAVE that was cut in its promotion: for the MASTER to say that it yields; 0: it does not ask",
        unit="seconds",
    )
    hand_over_seconds: int = _setting(
        "hotsync",
        "HandOverSeconds",
        Number(20, 3600),
        "120",
        "on a MASTER: how long a switchover waits, with production stopped and everything sent, for the SLAVE to take "
        "over; then production starts again here",
        unit="seconds",
    )
    start_without_answer: bool = _setting(
        "hotsync",
        "OnNoAnswer",
        NO_ANSWER,
        "start",
        "on a MASTER: what a boot does if the other server does not answer within `GuardSeconds`. `start`: production "
        "starts; `hold`: it does not, and no address of production is taken, until the administrator says so. On a "
        "SLAVE that was cut in its promotion: whether it takes production's addresses then",
        example="hold",
    )
    fence_ssh: str = _setting(
        "hotsync",
        "FenceSsh",
        Host(),
        "",
        "on the SLAVE: the MASTER as root's `ssh` knows it (a name of `/root/.ssh/config`, or an address), with a key "
        "that asks nobody: a promotion switches it off so, if its HotSync does not answer",
        example="<MASTER_IP>",
    )
    fence_command: str = _setting(
        "hotsync",
        "FenceCommand",
        Text("the absolute path of a program"),
        "",
        "on the SLAVE: a program of yours that switches the MASTER off (IPMI, power strip, hypervisor, switch); a "
        "promotion runs it with the MASTER's name and address if neither HotSync nor ssh reached it; it ends with 0 if "
        "the MASTER is off",
        example="/usr/local/sbin/fence-master",
    )
    fence_seconds: int = _setting(
        "hotsync",
        "FenceSeconds",
        Number(1, 600),
        "30",
        "on the SLAVE: how long `FenceCommand` may take; that the MASTER is silent then is waited for besides",
        unit="seconds",
    )
    fence_test: str = _setting(
        "hotsync",
        "FenceTest",
        Text("the absolute path of a program"),
        "",
        "on the SLAVE: another program of yours, which ends with 0 if `FenceCommand` could switch the MASTER off, and "
        "switches nothing (`ipmitool power status`); it gets the same two words. Empty: of `FenceCommand` only the "
        "file is looked at",
        example="/usr/local/sbin/fence-test",
    )
    fence_test_days: int = _setting(
        "hotsync",
        "FenceTestDays",
        Number(0, 365),
        "7",
        "on the SLAVE: how often the nightly drill also tries the fences, without stopping anything; 0: only when "
        "`hotsync drill --fences` is typed",
        unit="days",
    )
    internet_probe: str = _setting(
        "hotsync",
        "InternetProbe",
        HostPort(),
        "",
        "what must answer for hotsync-promote to say that there is Internet; empty: the default gateway",
        example="deb.example.org:443",
    )
    network_probe: str = _setting(
        "hotsync",
        "NetworkProbe",
        IpAddress(),
        "",
        "who must answer (on its own wires this server asks by ARP, beyond them by ping) once a promotion has taken "
        "the MASTER's addresses, or the old network is put back; empty: whoever answered before, or the MASTER's "
        "gateway",
        example="192.0.2.1",
    )
    rollback_seconds: int = _setting(
        "hotsync",
        "RollbackSeconds",
        Number(0, 3600),
        "120",
        "how long a promotion waits for that before it puts the old network back; 0: it never does",
        unit="seconds",
    )
    check_user: str = _setting(
        "hotsync",
        "CheckUser",
        Text("a login name of mail and files"),
        "",
        "on the SLAVE: an account of the MASTER that the checks of a promotion log in with (mailbox, sending, shares); "
        "empty: services are asked without a login",
        example="<USER>",
    )
    check_password: Secret = _setting(
        "hotsync",
        "CheckPassword",
        SecretText(),
        "",
        "on the SLAVE: that account's password",
        example="<PASSWORD>",
    )
    drill: bool = _setting(
        "hotsync",
        "Drill",
        SWITCH,
        "enabled",
        "on the SLAVE: rehearse the promotion in a sandbox every night; `disabled`: only when `hotsync drill` is typed",
        example="disabled",
    )
    drill_at: str = _setting(
        "hotsync", "DrillAt", TimeOfDay(), "02:20", "on the SLAVE: when the nightly drill begins, by its own clock"
    )
    drill_gigabytes: int = _setting(
        "hotsync",
        "DrillGigabytes",
        Number(1, 1_000_000),
        "50",
        "on the SLAVE: most that a drill writes to the disk of `/var/lib/hotsync`; it never takes more than three "
        "quarters of what is free there",
        unit="GiB",
    )
    drill_minutes: int = _setting(
        "hotsync",
        "DrillMinutes",
        Number(1, 1440),
        "120",
        "on the SLAVE: a drill that is not done after so long has failed",
        unit="minutes",
    )
    password: Secret = _setting(
        "rsyncd",
        "password",
        SecretText(),
        "",
        "the password that pairs the servers, the same on both",
        example="<PASSWORD>",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: object, info: ValidationInfo) -> object:
        row = _rows[str(cls.model_fields[str(info.field_name)].alias)]
        return row.kind.parse(value or row.default) if isinstance(value, str) else value

    def interval_with(self, told: int) -> int:
        """Given the interval that the MASTER told (0: none), return the one that a SLAVE may count on, in minutes."""
        return max(self.interval_minutes, told)

    def data_minutes(self, told: int) -> int:
        """Given the same, return for how long data may not be confirmed until somebody should look."""
        return max(self.old_data_minutes, 2 * self.interval_with(told))

    @property
    def streams(self) -> bool:
        """Return whether database servers are to be streamed."""
        return self.enabled and self.databases is Databases.STREAMING

    @property
    def peer_host(self) -> str:
        """Return the address of the other server, by our role."""
        return self.slave_host if self.role is Role.MASTER else self.master_host


PROPS: tuple[Prop, ...] = tuple(_rows.values())
WAY_BACK = ("NetworkProbe", "RollbackSeconds")
"""The settings that decide whether a changed network stays: a default in place of a wrong one would be a guess."""
KEYS: tuple[str, ...] = tuple(dict.fromkeys(row.record for row in PROPS))


def read_settings(records: Records) -> tuple[Settings, tuple[Fault, ...]]:
    """Given the props of the records, return the settings and every fault; a prop at fault has its default."""
    given = {row.path: records[row.record][row.name] for row in PROPS if row.name in records.get(row.record, {})}
    try:
        return Settings.model_validate(given), ()
    except ValidationError as error:
        faults = {str(item["loc"][0]): str(item.get("ctx", {}).get("error", item["msg"])) for item in error.errors()}
    good = {path: value for path, value in given.items() if path not in faults}
    return Settings.model_validate(good), tuple(fault(_rows[path], faults[path]) for path in _rows if path in faults)


def load_settings(records: Records) -> Settings:
    """Given the props of the records, return the settings; raise ConfigError with every fault."""
    settings, faults = read_settings(records)
    raise_if_any(faults)
    return settings


def raise_if_any(faults: Sequence[Fault]) -> None:
    """Raise ConfigError with all these faults, if there are any."""
    if faults:
        raise ConfigError(document="The configuration", faults="".join(f"\n  {item}" for item in faults))


def fault(row: Prop, sentence: str) -> Fault:
    """Given a setting and what is wrong with it, return the fault with a command that puts it right as its hint."""
    return Fault(row.record, row.name, sentence, f"Set it: {row.command} (allowed: {row.kind.allowed})")


def validate_for_save(settings: Settings) -> list[Fault]:
    """Given settings whose values are allowed, return what is still missing for this server to do its work."""
    if not settings.enabled:
        return []  # switching off must not depend on anything else
    faults: list[Fault] = []
    if settings.role is Role.NONE:
        faults.append(fault(_rows["hotsync.role"], "it is not said whether this server is MASTER or SLAVE"))
    if settings.role is Role.MASTER and not settings.slave_host:
        faults.append(fault(_rows["hotsync.SlaveHost"], "a MASTER needs the address of its SLAVE"))
    if settings.role is Role.SLAVE and not settings.master_host:
        faults.append(fault(_rows["hotsync.MasterHost"], "a SLAVE needs the address of its MASTER"))
    if settings.check_user and not settings.check_password:
        faults.append(fault(_rows["hotsync.CheckPassword"], "the check account has no password"))
    if not settings.password:
        faults.append(fault(_rows["rsyncd.password"], "there is no password"))
    return faults
