"""Runs the checks that the profiles name, with the programs of this host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from hotsync.backends import checks
from hotsync.model.report import Check
from hotsync.profiles.schema import (
    CheckSpec,
    HttpCheck,
    ImapCheck,
    MariadbCheck,
    PortCheck,
    PostgresqlCheck,
    Profile,
    SmbCheck,
    SmtpCheck,
    UnitCheck,
)


def named_checks(profiles: Iterable[Profile]) -> dict[str, CheckSpec]:
    """Given profiles, return their checks by a stable name, in order."""
    return {
        f"{profile.name}.{spec.kind}.{number}": spec
        for profile in sorted(profiles, key=lambda profile: profile.name)
        for number, spec in enumerate(profile.checks, start=1)
    }


def run_check(
    name: str, spec: CheckSpec, mariadb_sockets: Sequence[str], postgresql_clusters: Sequence[tuple[str, int]]
) -> Check:
    """Given a check of a profile, ask the service and return the answer."""
    match spec:
        case UnitCheck():
            return checks.check_unit(name, spec.title, spec.unit)
        case PortCheck():
            return checks.check_port(name, spec.title, spec.port, spec.banner)
        case HttpCheck():
            return checks.check_http(name, spec.title, spec.url)
        case SmtpCheck():
            return checks.check_smtp(name, spec.title, spec.port, spec.recipient)
        case ImapCheck():
            return checks.check_imap(name, spec.title, spec.port)
        case SmbCheck():
            return checks.check_smb(name, spec.title)
        case MariadbCheck():
            return checks.check_mariadb(name, spec.title, mariadb_sockets)
        case PostgresqlCheck():
            return checks.check_postgresql(name, spec.title, postgresql_clusters)
        case _:
            assert_never(spec)
