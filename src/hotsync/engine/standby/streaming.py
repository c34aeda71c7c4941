"""On the MASTER: what streaming makes on its database servers, says before it is made, and takes away again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb import binlog as mariadb_binlog
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import streaming as mariadb_streaming
from hotsync.sources.mariadb.client import detail
from hotsync.sources.mariadb.guard import ACCOUNT
from hotsync.sources.postgresql import offer as postgresql_offer
from hotsync.sources.postgresql import slot as postgresql_slot
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import login_of
from hotsync.sources.source import Context, Dataset
from hotsync.state.streaming import load_streaming
from hotsync.system import command
from hotsync.system.paths import Paths

_RESTART_SECONDS = 1800.0
Find = Callable[[Paths], Sequence[Dataset]]


def servers(paths: Paths) -> tuple[Dataset, ...]:
    """Return the servers of this host that could be streamed; raise SourceError."""
    context = Context(paths)
    return (*mariadb.inspect(context), *postgresql.inspect(context))


def tend_all(paths: Paths, keep_mb: int) -> list[str]:
    """See to it that no database server keeps too much of its log for the SLAVE, whatever runs beside this.

    `keep_mb` 0: what streaming has made goes. Return what there is to say, also of what went wrong.
    """
    return [*postgresql_slot.tend_all(keep_mb), *mariadb_streaming.tend_all(paths, keep_mb)]


def announce(paths: Paths, find: Find = servers) -> list[str]:
    """Return in sentences what streaming would change on the servers of this host; nothing is changed."""
    return _each(paths, find, lambda dataset, others: _announced(dataset, mariadb_streaming.fault_of(dataset, others)))


def _announced(dataset: Dataset, fault: str) -> str:
    if fault:
        return f"{dataset.name} cannot be streamed: {fault}. Its dumps go on."
    if mariadb_binlog.look(dataset).on:
        return f"{dataset.name} gets an account for replication, {ACCOUNT}@localhost; nothing else."
    return (
        f"{dataset.name} needs a binary log, which only a restart of {dataset.unit} begins: its clients are cut off "
        f"for some seconds. HotSync writes {mariadb_streaming.options_name(dataset)} and makes the account "
        f"{ACCOUNT}@localhost; until the restart its dumps go on alone."
    )


def set_up(paths: Paths, find: Find = servers) -> list[str]:
    """Make what the servers of this host lack to be streamed; return what there is to say."""
    return _each(paths, find, lambda dataset, others: _made(paths, dataset, others))


def _made(paths: Paths, dataset: Dataset, others: Sequence[Dataset]) -> str:
    said = mariadb_streaming.set_up(paths, dataset, others)
    return f"{said}." if said else ""


def _each(paths: Paths, find: Find, do: Callable[[Dataset, Sequence[Dataset]], str]) -> list[str]:
    found, said = find(paths), list[str]()
    others = [dataset for dataset in found if dataset.source == mariadb.NAME]
    for dataset in found:
        if dataset.fault or dataset.parked:
            continue
        if dataset.place:
            said.append(f"{dataset.name} is not streamed: pg_createcluster did not make it. Its dumps go on.")
            continue
        try:
            said.append(do(dataset, others) if dataset.source == mariadb.NAME else _of_cluster(dataset))
        except (CommandFailed, OSError, ValueError) as error:
            reason = detail(error) if isinstance(error, CommandFailed) else str(error)
            said.append(f"{dataset.name} is not streamed: {reason}. Its dumps go on.")
    return [sentence for sentence in said if sentence]


def _of_cluster(cluster: Dataset) -> str:
    """Return what is to be said of a cluster: nothing is changed in it, so only that it lets nobody follow it."""
    fault = postgresql_offer.refusal(login_of(cluster))
    return f"{cluster.name} cannot be streamed: {fault}. Its dumps go on." if fault else ""


def waiting(paths: Paths) -> dict[str, str]:
    """Return the servers that are set up and wait for a restart, with the unit of each; one that is down counts not."""
    found: dict[str, str] = {}
    for name, server in load_streaming(paths).items():
        if server.password and server.options and not _has_log(mariadb_streaming.dataset_of(name, server)):
            found[name] = server.unit
    return found


def _has_log(dataset: Dataset) -> bool:
    try:
        return mariadb_binlog.look(dataset).on
    except (CommandFailed, ValueError):
        return True


def restart_waiting(paths: Paths) -> list[str]:
    """Restart the units of those servers, since it was asked for; return which. Raise CommandFailed."""
    units = sorted(set(waiting(paths).values()))
    for unit in units:
        command.run(["systemctl", "restart", unit], timeout=_RESTART_SECONDS)
    return units
