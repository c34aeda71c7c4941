"""Tells the administrator: the MASTER through its own mail server, the SLAVE straight through a relay."""

from __future__ import annotations

import logging
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from hotsync.config.schema import Settings
from hotsync.model.alerts import Occasion, next_alert
from hotsync.model.identity import Role
from hotsync.report.letters import Trouble, letter, test_letter
from hotsync.report.mail import Carrier, LocalMailServer, MailNotSent, Relay, compose, subject_of
from hotsync.state.runs import Runs

_log = logging.getLogger("hotsync.notify")
RELAY_ALERT = "relay"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who gets the mails, from whom, and by which ways, tried in order."""

    to: str
    sender: str
    carriers: tuple[Carrier, ...]


def addressee_of(settings: Settings, role: Role) -> Addressee:
    """Given the settings, return who is told and how."""
    relay = Relay(settings.notify_relay.host, settings.notify_relay.port) if settings.notify_relay else None
    return addressee(role, settings.notify_to, settings.notify_from, relay, _mail_accounts())


def _mail_accounts() -> frozenset[str]:
    """Return the accounts that have a mailbox here: those of the system, where a mail server is installed."""
    if not Path("/usr/sbin/postfix").exists():
        return frozenset()
    return frozenset(account.pw_name for account in pwd.getpwall())


def addressee(role: Role, to: str, sender: str, relay: Relay | None, mail_accounts: frozenset[str]) -> Addressee:
    """Given role and settings, return who is told and how.

    The manual has it that mail goes to root, or to admin where a mail server with such an account is installed.
    """
    if to == "root" and "admin" in mail_accounts:
        to = "admin"
    carriers: list[Carrier] = [] if role is Role.SLAVE else [LocalMailServer()]
    if relay is not None:
        carriers.append(relay)
        if "@" not in to:
            to = f"{to}@{relay.host if not relay.host.replace('.', '').isdigit() else socket.getfqdn()}"
    return Addressee(to, sender or f"root@{socket.getfqdn()}", tuple(carriers))


def tell(
    runs: Runs, who: Addressee, about: str, trouble: Trouble | None, now: float, notices: tuple[str, ...] = ()
) -> Occasion | None:
    """Given what it is about and the trouble (None: all is well), write the mail that is due; return its occasion.

    A mail that nobody takes is not remembered as sent, so the next run tries again.
    """
    known = runs.alert(about)
    alert, occasion = next_alert(known, trouble is not None, trouble.code if trouble else "", now)
    if occasion is None:
        return None
    told = trouble or Trouble(about, "", "", "", "")
    since = known.since if known else now
    host = socket.gethostname()
    body = letter(told, occasion, host, since, now, notices)
    if not _send(who, subject_of(host, occasion, told.about), body, now):
        return None
    runs.set_alert(about, alert)
    return occasion


def prove_relay(runs: Runs, who: Addressee, now: float) -> str:
    """Send the SLAVE's test mail unless this way was proven before; return "" or why it is not proven."""
    proof = f"{RELAY_ALERT}:{who.to}:{who.carriers!r}"
    if not who.carriers:
        return "no relay is set (config setprop hotsync NotifyRelay HOST)"
    if runs.alert(proof) is not None:
        return ""
    host = socket.gethostname()
    if not _send(who, f"[HotSync] {host}: test mail", test_letter(host), now):
        return "the relay did not take the test mail"
    runs.set_alert(proof, next_alert(None, True, "proven", now)[0])
    return ""


def _send(who: Addressee, subject: str, body: str, now: float) -> bool:
    message = compose(who.to, who.sender, subject, body, now)
    for carrier in who.carriers:
        try:
            carrier.send(message)
        except MailNotSent as error:
            _log.warning("mail to %s was not taken: %s", who.to, error)
        else:
            return True
    return False
