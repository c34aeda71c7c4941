"""Runs the checks that the profiles name, with the programs of this host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

from hotsync.backends import checks, login_checks
from hotsync.backends.checks import PostgresqlServer
from hotsync.backends.login_checks import CheckAccount
from hotsync.config.schema import Settings
from hotsync.model.mute import covers
from hotsync.model.report import Check
from hotsync.profiles.schema import (
    CheckSpec,
    EjabberdCheck,
    HttpCheck,
    ImapCheck,
    LdapCheck,
    MariadbCheck,
    PortCheck,
    PostgresqlCheck,
    Profile,
    RedisCheck,
    SmbCheck,
    SmtpCheck,
    UnitCheck,
)
from hotsync.sources.redis.client import RedisError


def named_checks(profiles: Iterable[Profile], ran: frozenset[str] = frozenset()) -> dict[str, CheckSpec]:
    """Given profiles, and the units that ran on the MASTER (none: it did not tell), return what is to be asked.

    By a stable name, in order. An application that is installed and did not run there is not asked for.
    """
    return {
        f"{profile.name}.{spec.kind}.{number}": spec
        for profile in sorted(profiles, key=lambda profile: profile.name)
        for number, spec in enumerate(profile.checks, start=1)
        if not ran or _is_expected(profile, spec, ran)
    }


def _is_expected(profile: Profile, spec: CheckSpec, ran: frozenset[str]) -> bool:
    services = profile.services
    if not services.start:
        return True
    if isinstance(spec, UnitCheck) and spec.unit in services.start:
        return spec.unit in ran
    ours = frozenset((*services.start, *services.mute))
    return any(covers(ours, unit) for unit in ran)


def ports_of(specs: Iterable[CheckSpec]) -> frozenset[int]:
    """Given checks, return the TCP ports at which the services that they ask can be reached from outside."""
    found: set[int] = set()
    for spec in specs:
        match spec:
            case PortCheck() | SmtpCheck() | ImapCheck():
                found.add(spec.port)
            case HttpCheck():
                parts = urlsplit(spec.url)
                found.add(parts.port or (443 if parts.scheme == "https" else 80))
            case SmbCheck():
                found.add(445)
            case LdapCheck():
                found.add(389)
            case UnitCheck() | MariadbCheck() | PostgresqlCheck() | RedisCheck() | EjabberdCheck():
                pass  # asked by a socket of the host
            case _:
                assert_never(spec)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the checks ask on this host: database servers, and people's services as whom.

    The servers are looked for by the check that asks them, and by no other. `redis` and `ejabberd` ask the servers of
    these kinds; they return what was answered.
    """

    mariadb_sockets: Callable[[], tuple[str, ...]] = tuple
    postgresql_servers: Callable[[], tuple[PostgresqlServer, ...]] = tuple
    account: CheckAccount | None = None
    redis: Callable[[], str] = str
    ejabberd: Callable[[], str] = str


def check_account(settings: Settings) -> CheckAccount | None:
    """Given the settings, return the site's check account, None if there is none."""
    if not (settings.check_user and settings.check_password):
        return None
    return CheckAccount(settings.check_user, settings.check_password)


def run_check(name: str, spec: CheckSpec, asked: Asked) -> Check:
    """Given a check of a profile, ask the service and return the answer."""
    match spec:
        case UnitCheck():
            return checks.check_unit(name, spec.title, spec.unit)
        case PortCheck():
            return checks.check_port(name, spec.title, spec.port, spec.banner)
        case HttpCheck():
            return checks.check_http(name, spec.title, spec.url)
        case SmtpCheck():
            return login_checks.check_smtp(name, spec.title, spec.port, spec.submission, spec.recipient, asked.account)
        case ImapCheck():
            return login_checks.check_imap(name, spec.title, spec.port, asked.account)
        case SmbCheck():
            return login_checks.check_smb(name, spec.title, asked.account)
        case MariadbCheck():
            return checks.check_mariadb(name, spec.title, asked.mariadb_sockets)
        case PostgresqlCheck():
            return checks.check_postgresql(name, spec.title, asked.postgresql_servers)
        case LdapCheck():
            return checks.check_ldap(name, spec.title)
        case RedisCheck():
            return checks.ask(name, spec.title, "journalctl -u 'redis*' says why.", asked.redis, (RedisError,))
        case EjabberdCheck():
            return checks.ask(name, spec.title, "journalctl -u ejabberd says why.", asked.ejabberd)
        case _:
            assert_never(spec)
