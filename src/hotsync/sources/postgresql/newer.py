"""Clusters of the MASTER whose major version is not installed here: a cluster of a newer one serves their databases.

The MASTER's configuration does not fit another major version. So the cluster here gets one of its own: of the MASTER's
settings those that clients notice, and its rules of who gets in. All else has the newer server's defaults.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from hotsync.errors import RestoreFailed
from hotsync.sources.postgresql.cluster import NAME, configuration, setting
from hotsync.system.files import sync_directory, write_atomic

SETTINGS = (
    "port", "listen_addresses", "unix_socket_directories", "max_connections", "password_encryption",
    "ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file",
    "timezone", "log_timezone", "datestyle", "default_text_search_config",
    "lc_messages", "lc_monetary", "lc_numeric", "lc_time",
)  # fmt: skip
"""What is taken of the MASTER's postgresql.conf: every server since PostgreSQL 10 knows it, and clients notice it."""

_CONF = "postgresql.conf"
_SET_ASIDE = ".hotsync-older"
_ACCOUNT = "postgres"
_INSTANCE = re.compile(r"\d+(\.\d+)?-[\w-][\w.-]*")
_ONLY_LOCAL = f"local all {_ACCOUNT} peer\n"


def installed_versions() -> frozenset[str]:
    """Return the major versions whose server is installed here."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres"), *Path("/usr").glob("pgsql-*/bin/postgres")]
    return frozenset(path.parts[-3].removeprefix("pgsql-") for path in found)


def serving(instances: Iterable[str], installed: Collection[str]) -> dict[str, str]:
    """Given the MASTER's clusters (15-main) and the versions installed here, return which cluster here serves each.

    That is one of the same version where that is installed; else the nearest newer one, of the same name, unless it
    serves another cluster of the MASTER. One that nothing here can serve stays itself.
    """
    served = {instance: instance for instance in instances}
    newer = sorted((each for each in installed if each.isdigit()), key=int)
    for instance in sorted(served, key=_version, reverse=True):
        version, _, name = instance.partition("-")
        if version in installed or not _version(instance):
            continue
        offered = (f"{each}-{name}" for each in newer if int(each) > int(version))
        served[instance] = next((each for each in offered if each not in served.values()), instance)
    return served


def _version(instance: str) -> int:
    version = instance.partition("-")[0]
    return int(version) if version.isascii() and version.isdigit() else 0


def take_over(theirs: str, ours: str) -> bool:
    """Given the MASTER's cluster, whose configuration lies in /etc, give the cluster `ours` one that is like it.

    The MASTER's postgresql.conf stays under another name: two clusters with one port look like one server to
    PostgreSQL's own tools. A configuration that is there already is left as it is; return whether it was made now.
    Raise RestoreFailed.
    """
    dataset = f"{NAME}/{theirs}"
    if not (_INSTANCE.fullmatch(theirs) and _INSTANCE.fullmatch(ours)):
        raise RestoreFailed(dataset=dataset, reason=f"{theirs!r} names no cluster")
    old, new = (configuration(*each.split("-", 1)) for each in (theirs, ours))
    version, name = theirs.split("-", 1)
    made = not (new / _CONF).exists()
    values = {key: value for key in SETTINGS if (value := setting(version, name, key)) is not None}
    try:
        if made:
            _write(old, new, ours, values, {key: setting(version, name, key) for key in ("hba_file", "ident_file")})
        if (old / _CONF).exists():
            os.rename(old / _CONF, old / f"{_CONF}{_SET_ASIDE}")
            sync_directory(old)
    except (OSError, LookupError) as error:
        raise RestoreFailed(dataset=dataset, reason=f"no cluster {ours} can be made: {error}") from error
    return made


def _write(old: Path, new: Path, ours: str, values: Mapping[str, str], files: Mapping[str, str | None]) -> None:
    """Write the files of a configuration, the one by which it exists last."""
    owner = _owner()
    for folder in (new.parent, new):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o755)
            os.chown(folder, *owner)
    write_atomic(new / "start.conf", b"auto\n", owner=owner)
    write_atomic(new / "pg_ctl.conf", b"pg_ctl_options = ''\n", owner=owner)
    write_atomic(new / "environment", b"", owner=owner)
    for key, usual, instead in (("hba_file", "pg_hba.conf", _ONLY_LOCAL), ("ident_file", "pg_ident.conf", "")):
        source = Path(files[key] or old / usual)
        data = source.read_bytes() if source.is_file() else instead.encode()
        write_atomic(new / usual, data, mode=0o640, owner=owner)
    text = render(ours, new, values)
    write_atomic(new / _CONF, text.encode("utf-8", "surrogateescape"), owner=owner)
    sync_directory(new.parent)


def render(instance: str, folder: Path, values: Mapping[str, str]) -> str:
    """Given a cluster, the folder of its configuration and the settings to take over, return its postgresql.conf."""
    version, name = instance.split("-", 1)
    own = {
        "data_directory": f"/var/lib/postgresql/{version}/{name}",
        "hba_file": f"{folder}/pg_hba.conf",
        "ident_file": f"{folder}/pg_ident.conf",
        "external_pid_file": f"/var/run/postgresql/{version}-{name}.pid",
        "cluster_name": f"{version}/{name}",
        "unix_socket_directories": "/var/run/postgresql",
    }
    lines = [f"{key} = '{_quoted(value)}'\n" for key, value in {**own, **values}.items()]
    return "# Written by a promotion of HotSync: the MASTER had an older major version.\n" + "".join(lines)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''").replace("\n", " ")


def _owner() -> tuple[int, int]:
    account = pwd.getpwnam(_ACCOUNT)
    return account.pw_uid, account.pw_gid
