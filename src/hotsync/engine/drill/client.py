"""What a client asks in a drill: the profiles' checks from another machine's place, at the addresses of production."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hotsync.backends import checks, login_checks
from hotsync.backends.certificate_checks import TLS_PORTS, check_certificate
from hotsync.backends.login_checks import SMB_PORT, CheckAccount
from hotsync.engine.checks import check_account
from hotsync.engine.network.rollback import reaches
from hotsync.engine.promotion.ground import Ground
from hotsync.model.report import Check, Verdict
from hotsync.profiles.schema import CheckSpec, HttpCheck, ImapCheck, LdapCheck, PortCheck, SmbCheck, SmtpCheck
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

PREFIX = "client."
_ATTEMPTS, _PATIENCE_SECONDS = 4, 1.0
_TRIES = 2
_LISTEN = "0A"
_LOCAL = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
_LENGTH_4, _MAPPED = 8, "0000000000000000FFFF0000"
"""How the kernel writes an IPv4 address, and the beginning of one of IPv6 that stands for one."""
_LDAP_PORT = 389


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom the client asks: an address of production, and the ports that others than the server itself can reach."""

    address: str
    ports: frozenset[int]
    account: CheckAccount | None = None

    @property
    def in_url(self) -> str:
        """Return the address as a URL has it."""
        return f"[{self.address}]" if ":" in self.address else self.address


def open_ports(tables: Iterable[str], address: str) -> frozenset[int]:
    """Given what /proc/net/tcp and tcp6 hold, return the ports on which others can be heard at an address.

    What listens for all by IPv6 is heard by IPv4, too, as a rule; never the other way round.
    """
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    places = [row[1].rpartition(":") for row in rows if len(row) > 3 and row[3] == _LISTEN]
    by_6 = ":" in address
    return frozenset(
        int(port, 16)
        for place, _, port in places
        if place not in _LOCAL and not (by_6 and (len(place) == _LENGTH_4 or place.startswith(_MAPPED)))
    )


def ask_as_client(paths: Paths, address: str, ports: frozenset[int], clock: Clock) -> list[Check]:
    """Given an address of production, ask there what can be asked from outside; what did not answer is asked again a
    few times, since services take their time."""
    settings, _ = read_settings(paths)
    asking = Asking(address, ports, check_account(settings))
    found: list[Check] = [check_reached(address)]
    for name, spec in Ground(paths).checks.items():
        found += _asked(f"{PREFIX}{name}", spec, asking, clock)
    found += [
        check_certificate(f"{PREFIX}certificate.{port}", address, port, clock.now())
        for port in TLS_PORTS
        if port in ports
    ]
    return found


def check_reached(address: str) -> Check:
    """Given an address of production, return whether a client has an answer from there."""

    def question() -> str:
        if not any(reaches(address) for _ in range(_TRIES)):
            raise checks.Ill(f"{address} does not answer")
        return f"{address} answers"

    title = f"a client reaches {address}"
    return checks.ask(f"{PREFIX}reach.{address}", title, "hotsync-promote --dry-run shows the network.", question)


def _asked(name: str, spec: CheckSpec, asking: Asking, clock: Clock) -> Iterator[Check]:
    check = _ask(name, spec, asking)
    for _ in range(_ATTEMPTS):
        if check is None or check.verdict is not Verdict.RED:
            break
        clock.sleep(_PATIENCE_SECONDS)
        check = _ask(name, spec, asking)
    if check is not None:
        yield replace(check, title=f"{check.title}, asked by a client")


def _ask(name: str, spec: CheckSpec, asking: Asking) -> Check | None:
    """Return the answer; None where the question is none for others, or the service listens for itself alone."""
    title, address, ports = spec.title, asking.address, asking.ports
    match spec:
        case PortCheck() if spec.port in ports:
            return checks.check_port(name, title, spec.port, spec.banner, address)
        case HttpCheck() if _port_of(spec.url) in ports:
            return checks.check_http(name, title, spec.url, at=address)
        case SmtpCheck() if spec.port in ports:
            submission = spec.submission if spec.submission in ports else 0
            return login_checks.check_smtp(name, title, spec.port, submission, spec.recipient, asking.account, address)
        case ImapCheck() if spec.port in ports:
            return login_checks.check_imap(name, title, spec.port, asking.account, address)
        case SmbCheck() if SMB_PORT in ports:
            return login_checks.check_smb(name, title, asking.account, address)
        case LdapCheck() if _LDAP_PORT in ports:
            return checks.check_ldap(name, title, (f"ldap://{asking.in_url}",))
        case _:
            return None


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
