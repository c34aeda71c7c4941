"""Seeding: the first copy of a MASTER's PostgreSQL cluster on the SLAVE, from which its standby goes on by itself."""

from __future__ import annotations

import glob
import os
import pwd
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources.postgresql.cluster import detail
from hotsync.sources.postgresql.guard import SLOT
from hotsync.sources.postgresql.proof import number_of
from hotsync.sources.postgresql.standby import MARK, PORT, SIGNAL, Standby, read_control
from hotsync.system import command, files, trees

_DIVERGED = "it and the MASTER have gone different ways"
LONGEST = 7 * 24 * 3600.0
Run = Callable[[list[str]], None]
_MARK_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FRESH, _OWN = ".hotsync-seed", ".before-hotsync"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The MASTER's cluster as it answers through the stream; `flushed`: up to where in its log it has written."""

    system_identifier: str
    timeline: int
    flushed: str


def read_upstream(standby: Standby) -> Upstream:
    """Ask the MASTER's server who it is; raise CommandFailed if it does not answer, ValueError if it says nonsense."""
    words = f"host={standby.upstream} port={PORT} user={standby.user} replication=true"
    argv = [standby.login.tool("psql"), "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--no-password"]
    answer = command.run(
        [*argv, f"--dbname={words}", "--command=IDENTIFY_SYSTEM"],
        user=standby.user,
        env=standby.environment,
        cwd="/",
    ).text
    fields = answer.strip().split("|")
    if len(fields) != 4 or not fields[0].isdigit():
        raise ValueError("the MASTER's server does not say who it is")
    number_of(fields[2])
    return Upstream(fields[0], int(fields[1]), fields[2])


def needs_seed(standby: Standby, upstream: Upstream | None, diverged: str = "", replayed: str = "") -> str:
    """Return why a cluster must be copied (anew) from the MASTER, "" if it need not.

    `upstream` is None while the MASTER does not answer; `diverged` is what the standby's server said of it, `replayed`
    how far that was before the MASTER was asked ("": not known). One that is ahead has changes that the MASTER lost,
    as where its disk was put back; the server notices that only if it asks for another segment.
    """
    if not (standby.data / "PG_VERSION").is_file():
        return "there is no copy yet"
    if not standby.is_ours:
        return "what lies here is no standby"
    try:
        control = read_control(standby)
    except (CommandFailed, ValueError) as error:
        return f"the copy cannot be read: {error}"
    if upstream is not None and control.system_identifier != upstream.system_identifier:
        return "the MASTER's cluster was made anew"
    if upstream is not None and control.timeline > upstream.timeline:
        return _DIVERGED
    if upstream is not None and replayed and number_of(replayed) > number_of(upstream.flushed):
        return _DIVERGED
    return diverged


def _as_owner(standby: Standby) -> Run:
    def run(argv: list[str]) -> None:
        command.run(argv, user=standby.user, env=standby.environment, cwd="/", timeout=LONGEST)

    return run


def seed(standby: Standby, run: Run | None = None) -> None:
    """Copy the MASTER's cluster through the stream, and put the copy in the place of its data directory.

    The standby does not run meanwhile. What lay there and was no copy of ours is kept beside it. What is cut is begun
    anew. `run` runs pg_basebackup, as the cluster's owner. Raise RestoreFailed; the place is then as it was.
    """
    fresh = fresh_folder(standby)
    try:
        trees.remove(fresh)
        _make(fresh, standby)
        _copy(standby, fresh, run or _as_owner(standby))
        _mark(fresh, standby)
        _put_in_place(standby, fresh)
    except CommandFailed as error:
        raise RestoreFailed(dataset=standby.name, reason=detail(error), hint=_HINT) from error
    except (OSError, KeyError) as error:
        raise RestoreFailed(dataset=standby.name, reason=str(error), hint=_HINT) from error
    finally:
        trees.remove(fresh)


_HINT = "Dumps go on. Remove the cause; the next run of hotsync-slave copies the cluster again."


def fresh_folder(standby: Standby) -> Path:
    """Return where a copy is made."""
    return _beside(standby.data, _FRESH)


def give_up(standby: Standby) -> None:
    """Remove a copy of ours, whose server does not run; what this server had itself last lies in its place again.

    Raise OSError.
    """
    if not standby.is_ours:
        return
    old = fresh_folder(standby)
    trees.remove(old)
    *_, own = [None, *kept_beside(standby.data)]
    if own is not None:
        files.rename_exchange(str(own), str(standby.data))
        files.rename_noreplace(str(own), str(old))
    else:
        files.rename_noreplace(str(standby.data), str(old))
    files.sync_directory(standby.data.parent)
    trees.remove(old)


def _copy(standby: Standby, fresh: Path, run: Run) -> None:
    argv = [
        standby.login.tool("pg_basebackup"), f"--host={standby.upstream}", f"--port={PORT}",
        f"--username={standby.user}", "--no-password", f"--pgdata={fresh}", "--wal-method=stream",
        "--checkpoint=fast", "--label=hotsync", f"--slot={SLOT}",
    ]  # fmt: skip

    try:
        run([*argv, "--create-slot"])
    except CommandFailed as error:
        if f'replication slot "{SLOT}" already exists' not in error.stderr:
            raise
        run(argv)  # it keeps the log since longer than the copy needs


def _make(fresh: Path, standby: Standby) -> None:
    """Make an empty folder of the cluster's owner, with what leads to it."""
    account = pwd.getpwnam(standby.user)
    if not fresh.parent.is_dir():
        fresh.parent.mkdir(parents=True)
        fresh.parent.chmod(0o755)  # whatever our umask is
        os.chown(fresh.parent, account.pw_uid, account.pw_gid, follow_symlinks=False)
    fresh.mkdir(mode=0o700)
    os.chown(fresh, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _mark(fresh: Path, standby: Standby) -> None:
    """Make the copy a standby, durably."""
    account = pwd.getpwnam(standby.user)
    folder = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with suppress(FileNotFoundError):
            os.unlink(SIGNAL, dir_fd=folder)  # the MASTER may be a standby itself
        mark = os.open(SIGNAL, _MARK_FLAGS, 0o600, dir_fd=folder)
        try:
            os.write(mark, MARK)
            os.fchown(mark, account.pw_uid, account.pw_gid)
            os.fsync(mark)
        finally:
            os.close(mark)
        os.fsync(folder)
    finally:
        os.close(folder)


def _put_in_place(standby: Standby, fresh: Path) -> None:
    data = standby.data
    if not os.path.lexists(data):
        files.rename_noreplace(str(fresh), str(data))
    elif standby.is_ours:
        files.rename_exchange(str(fresh), str(data))  # an older copy of ours: `fresh` is now that
    else:
        own = _free_name(data)
        # never under the name of the copy, which may be removed
        files.rename_noreplace(str(data), str(own))
        try:
            files.rename_noreplace(str(fresh), str(data))
        except OSError:
            files.rename_noreplace(str(own), str(data))
            raise
    files.sync_directory(data.parent)


def kept_beside(data: Path) -> list[Path]:
    """Return what this server had itself in the place of a copy, oldest first."""
    names = sorted(data.parent.glob(f"{glob.escape(data.name)}{_OWN}*"), key=_number_of)
    return [name for name in names if _number_of(name) >= 0]


def _number_of(kept: Path) -> int:
    """Return the number at the end of a name, 0 for the first one, -1 where it is none of these names."""
    number = kept.name.rpartition(_OWN)[2]
    return 0 if not number else int(number[1:]) if re.fullmatch(r"\.[0-9]{1,9}", number) else -1


def _free_name(data: Path) -> Path:
    """Return a name for what this server had itself: above those that are there, so their order is that of time."""
    kept = kept_beside(data)
    return _beside(data, f"{_OWN}.{_number_of(kept[-1]) + 1}" if kept else _OWN)


def _beside(data: Path, ending: str) -> Path:
    return data.with_name(data.name + ending)
