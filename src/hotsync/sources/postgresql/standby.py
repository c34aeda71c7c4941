"""A MASTER's PostgreSQL cluster on the SLAVE as a physical standby: how it is started, how far it is, how it ends.

What makes it a standby of the MASTER are arguments of its command line, and one empty file that a promotion takes away:
the production unit finds nothing of it. The data came from the MASTER, and with it settings (`postgresql.auto.conf`):
so whatever could make the server run a program, load a library or listen is set by an argument, which comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hotsync.backends.waiting_servers import WaitingServer
from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources.postgresql.cluster import LONGEST, NAME, Login, ask, ask_json, detail
from hotsync.sources.postgresql.guard import SLOT
from hotsync.sources.postgresql.proof import number_of
from hotsync.sources.postgresql.waiting import ALONE
from hotsync.sources.spool import open_plain
from hotsync.system import command
from hotsync.system.paths import Paths

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
OWNER = "postgres"
"""Whose servers the standbys are, and who alone gets to the socket that leads to the MASTER."""
SIGNAL = "standby.signal"
MARK = b"HotSync's copy of its MASTER's cluster\n"
"""What our `standby.signal` says: PostgreSQL asks only whether it is there, and a standby may be this server's own."""
CHANNEL_USER = "root"
"""hotsyncd, which offers the socket that leads to the MASTER."""
_PROMOTE_SECONDS = 600
_STANDING_SECONDS = 10.0
_WITH_TRIGGER_FILE = ("12", "13", "14", "15")

_NEEDED = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
"""What a standby needs at least as much of as its MASTER has: the setting, and its name in the control file."""

_HARMLESS = {
    **ALONE,
    "restore_command": "",
    "archive_cleanup_command": "", "recovery_end_command": "", "recovery_target": "", "recovery_target_lsn": "",
    "recovery_target_name": "", "recovery_target_time": "", "recovery_target_xid": "",
    "recovery_target_timeline": "latest", "recovery_min_apply_delay": "0",
    "hot_standby": "on", "hot_standby_feedback": "off", "fsync": "on", "full_page_writes": "on",
    "wal_receiver_timeout": "10s", "wal_receiver_status_interval": "1s",
    "cluster_name": "hotsync-standby",
}  # fmt: skip


def upstream_socket(paths: Paths, instance: str) -> Path:
    """Return the socket that leads to the MASTER's cluster of this name, while that is streamed."""
    return paths.streams / instance / SOCKET


@dataclass(frozen=True, slots=True)
class Standby:
    """One cluster: its name ("15-main"), the user that owns it, its data directory, and two other folders.

    `upstream` holds the socket that leads to the MASTER, `folder` is that of the waiting server.
    """

    instance: str
    user: str
    data: Path
    upstream: Path
    folder: Path

    @property
    def name(self) -> str:
        """Return the dataset's name."""
        return f"{NAME}/{self.instance}"

    @property
    def version(self) -> str:
        """Return the major version."""
        return self.instance.partition("-")[0]

    @property
    def login(self) -> Login:
        """Return how to reach the standby itself."""
        return Login(self.user, str(self.folder / "socket"), PORT, self.version)

    @property
    def server(self) -> str:
        """Return the name of its waiting server."""
        return f"{NAME}@{self.instance}"

    @property
    def offered(self) -> bool:
        """Return whether the MASTER offers to stream it, now."""
        return (self.upstream / SOCKET).exists()

    @property
    def is_ours(self) -> bool:
        """Return whether what lies in its place is a copy of the MASTER's that was not promoted."""
        try:
            with open_plain(self.data / SIGNAL) as mark:
                return mark.read(len(MARK) + 1) == MARK
        except OSError:
            return False

    @property
    def environment(self) -> dict[str, str]:
        """Return what tools need that speak to the MASTER: only hotsyncd's socket leads there."""
        own = {"PGREQUIREPEER": CHANNEL_USER, "PGCONNECT_TIMEOUT": "0", "LC_ALL": "C.UTF-8"}  # the channel may wait
        return {**self.login.environment, **own}


@dataclass(frozen=True, slots=True)
class Control:
    """What the control file of a data directory says: whose data it is, and what it needs of settings."""

    system_identifier: str
    timeline: int
    needed: Mapping[str, int]


class Standing(BaseModel):
    """How far a standby is. Moments are by the MASTER's clock (0: not known).

    `replayed`: up to where in the log it has applied everything; `unreceived`: bytes that the MASTER had written, when
    it last said so, and that are not applied here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    streaming: bool
    replayed: str
    unreceived: int
    last_commit: float
    told_at: float

    @property
    def caught_up(self) -> bool:
        """Return whether everything is applied that the MASTER had written at its last word."""
        return self.streaming and self.told_at > 0 and self.unreceived <= 0

    @property
    def as_of(self) -> float:
        """Return the moment that the standby shows, by the MASTER's clock."""
        return max(self.told_at, self.last_commit) if self.caught_up else self.last_commit

    def lag(self, now: float, clock_difference: float = 0.0) -> float:
        """Given the time here and how far the MASTER's clock is ahead, return by how many seconds it is behind."""
        return max(0.0, now + clock_difference - self.as_of)


# every column is null before the first message
_STANDING = """
SELECT json_build_object('streaming', coalesce(w.status = 'streaming', false),
  'replayed', coalesce(pg_last_wal_replay_lsn()::text, ''),
  'unreceived', coalesce(pg_wal_lsn_diff(w.latest_end_lsn, pg_last_wal_replay_lsn()), 0)::bigint,
  'last_commit', coalesce(extract(epoch FROM pg_last_xact_replay_timestamp()), 0)::float8,
  'told_at', coalesce(extract(epoch FROM w.last_msg_send_time), 0)::float8)
FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver AS w ON true
"""


def parse_control(text: str) -> Control:
    """Given what `pg_controldata` prints, return what counts of it; raise ValueError if it says something else."""
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    try:
        needed = {setting: int(told[name]) for setting, name in _NEEDED.items()}
        return Control(told["Database system identifier"], int(told["Latest checkpoint's TimeLineID"]), needed)
    except KeyError as error:
        raise ValueError(f"pg_controldata does not tell {error}") from error


def read_control(standby: Standby) -> Control:
    """Return what a standby's control file says; raise CommandFailed or ValueError."""
    argv = [standby.login.tool("pg_controldata"), f"--pgdata={standby.data}"]
    return parse_control(command.run(argv, user=standby.user, env=standby.login.environment, cwd="/").text)


def standby_argv(standby: Standby, control: Control) -> list[str]:
    """Given a standby and its control file, return the command that runs it in the foreground, as its user."""
    settings = {
        **_HARMLESS,
        **{setting: str(count) for setting, count in control.needed.items()},
        "config_file": str(standby.folder / "postgresql.conf"),
        "hba_file": str(standby.folder / "pg_hba.conf"),
        "ident_file": str(standby.folder / "pg_ident.conf"),
        "unix_socket_directories": str(standby.folder / "socket"),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "primary_slot_name": SLOT,
        "primary_conninfo": render_conninfo(standby),
    }
    if standby.version.partition(".")[0] in _WITH_TRIGGER_FILE:
        settings["promote_trigger_file"] = ""
    arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [standby.login.tool("postgres"), "-D", str(standby.data), *arguments]


def render_conninfo(standby: Standby) -> str:
    """Return how the standby reaches the MASTER's server."""
    words = {
        "host": str(standby.upstream), "port": str(PORT), "user": standby.user, "requirepeer": CHANNEL_USER,
        "application_name": SLOT, "connect_timeout": "10",
    }  # fmt: skip
    return " ".join(f"{name}={_quoted(value)}" for name, value in words.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def server_of(standby: Standby) -> WaitingServer:
    """Given a standby, return the server that waits; its files of settings hold nothing of the MASTER's.

    Raise CommandFailed or ValueError if its control file cannot be read.
    """
    name = standby.user.replace('"', '""')
    settings = {
        "postgresql.conf": "# all settings are arguments of the command line\n",
        "pg_hba.conf": f'local all "{name}" peer\n',
        "pg_ident.conf": "",
    }
    argv = tuple(standby_argv(standby, read_control(standby)))
    # SIGTERM would wait for clients that are on their way out
    return WaitingServer(standby.server, standby.user, argv, (standby.data,), settings, "SIGINT", in_background=False)


def read_standing(standby: Standby) -> Standing:
    """Return how far a running standby is; raise CommandFailed or ValueError if it does not say."""
    return Standing.model_validate(ask_json(standby.login, _STANDING, timeout=_STANDING_SECONDS))


def holds(position: str, system_identifier: str, replayed: str) -> bool:
    """Given the position of a dump, return whether a standby of that cluster that replayed so far has all of it.

    The position is that of the end of the dump: "SYSTEM_IDENTIFIER LSN"; "" was told by an older HotSync, and is held
    by nobody.
    """
    of, _, lsn = position.partition(" ")
    try:
        return of == system_identifier and bool(of) and number_of(replayed) >= number_of(lsn)
    except ValueError:
        return False


def promote(standby: Standby, seconds: int = _PROMOTE_SECONDS) -> None:
    """Make a running standby a server of its own, all that it received applied; done already is fine.

    Once it has been stopped cleanly, the production unit can start on its directory. Raise RestoreFailed.
    """
    try:
        if ask(standby.login, "SELECT pg_is_in_recovery()") == "t":
            ask(standby.login, f"SELECT pg_promote(true, {int(seconds)})", timeout=LONGEST)
            if ask(standby.login, "SELECT pg_is_in_recovery()") == "t":
                reason = f"it is still recovering after {seconds} seconds"
                raise RestoreFailed(dataset=standby.name, reason=reason)
        ask(standby.login, "CHECKPOINT", timeout=LONGEST)
    except CommandFailed as error:
        raise RestoreFailed(dataset=standby.name, reason=detail(error)) from error
    if standby.is_ours:
        raise RestoreFailed(dataset=standby.name, reason=f"{standby.data / SIGNAL} is still there")
