"""The form of a cluster's files, which only the making of its data directory decides: is it as the MASTER's?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hotsync.sources.postgresql.cluster import Login
from hotsync.system import command

_CHECKSUMS, _SEGMENT = "Data page checksum version", "Bytes per WAL segment"


def read_form(directory: Path, user: str, version: str) -> dict[str, str]:
    """Given a data directory, its owner and major version, return its form by the names of the settings (see
    server_settings.py); raise CommandFailed, or ValueError if its control file says something else."""
    login = Login(user, "", 0, version)
    argv = [login.tool("pg_controldata"), f"--pgdata={directory}"]
    return parse_form(command.run(argv, user=user, env=login.environment, cwd="/").text)


def parse_form(text: str) -> dict[str, str]:
    """Given what `pg_controldata` prints, return the form; raise ValueError."""
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    try:
        return {
            "data_checksums": "off" if told[_CHECKSUMS] == "0" else "on",
            "wal_segment_size": told[_SEGMENT],
        }
    except KeyError as error:
        raise ValueError(f"pg_controldata does not tell {error}") from error


def difference(here: dict[str, str], settings: Iterable[tuple[str, str]]) -> str:
    """Given the form here, and the MASTER's settings, return in words what differs, "" if nothing does."""
    return ", ".join(
        f"{name} is {here[name]} here and {value[:40]} on the MASTER"
        for name, value in settings
        if name in here and here[name] != value
    )
