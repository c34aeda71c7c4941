"""Tells the administrator: the MASTER through its own mail server, the SLAVE straight through a relay."""

from __future__ import annotations

import logging
import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from hotsync.config.schema import Settings
from hotsync.model.alerts import DAY, Alert, Occasion, next_alert
from hotsync.model.identity import Role
from hotsync.report.letters import Trouble, letter, test_letter
from hotsync.report.mail import SENDMAIL, Carrier, LocalMailServer, MailNotSent, Relay, compose, subject_of
from hotsync.state.alerts import AlertBook

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
    return Addressee(to, sender or f"root@{socket.getfqdn()}", tuple(carriers))


def tell(
    book: AlertBook, who: Addressee, about: str, trouble: Trouble | None, now: float, notices: tuple[str, ...] = ()
) -> Occasion | None:
    """Given what it is about and the trouble (None: all is well), write the mail that is due; return its occasion.

    A mail is remembered before it is sent, so that a disk which takes no note makes no flood; one that nobody takes is
    forgotten again, and the next run tries anew.
    """
    known = book.get(about)
    alert, occasion = next_alert(known, trouble is not None, trouble.code if trouble else "", now)
    if alert != known:
        book.set(about, alert)
    if occasion is None or alert is None:
        return None
    told = trouble or Trouble(about, "", "", "", "")
    host = socket.gethostname()
    body = letter(told, occasion, host, alert, now, notices)
    if post(who, subject_of(host, occasion, told.about), body, now):
        return occasion
    book.set(about, known)
    book.set(RELAY_ALERT, None)  # what was proven is not so any more
    return None


def is_due(book: AlertBook, about: str, trouble: Trouble | None, now: float) -> bool:
    """Given the same as `tell`, return whether a mail is still to be written, since nobody took it."""
    return next_alert(book.get(about), trouble is not None, trouble.code if trouble else "", now)[1] is not None


def has_no_way(settings: Settings, role: Role) -> bool:
    """Return whether this host has neither a mail server nor a relay: then nobody hears of what fails."""
    return settings.notify_relay is None and (role is Role.SLAVE or not os.access(SENDMAIL, os.X_OK))


def mail_fault(who: Addressee) -> str:
    """Return "" or why no mail can leave this host, as far as can be seen without sending one."""
    faults: list[str] = []
    for carrier in who.carriers:
        try:
            carrier.probe(who.sender, who.to)
        except MailNotSent as error:
            faults.append(str(error))
        else:
            return ""
    return "; ".join(faults) or "no relay is set (config setprop hotsync NotifyRelay HOST)"


def prove_relay(book: AlertBook, who: Addressee, now: float) -> str:
    """Return "" or why it is not proven that the SLAVE's mails leave it.

    A test mail goes once by each way, and again after a mail was not taken; every day the relay is asked anew.
    """
    way = f"{who.to}:{who.carriers!r}"
    proof = book.get(RELAY_ALERT)
    if not who.carriers:
        return "no relay is set (config setprop hotsync NotifyRelay HOST)"
    if proof is not None and way in dict(proof.told):
        if 0 <= now - proof.mailed_at < DAY:
            return ""
        fault = mail_fault(who)
        if fault:
            book.set(RELAY_ALERT, None)
            return f"the relay takes no mail any more: {fault}"
    else:
        host = socket.gethostname()
        if not post(who, f"[HotSync] {host}: test mail", test_letter(host), now):
            return "the relay did not take the test mail"
    book.set(RELAY_ALERT, Alert(now, now, ((way, now),)))
    return ""


def post(who: Addressee, subject: str, body: str, now: float) -> bool:
    """Hand a mail to the first way that takes it; return whether one did."""
    for carrier in who.carriers:
        try:
            carrier.send(compose(who.to, who.sender, subject, body, now))
        except MailNotSent as error:
            _log.warning("mail to %s was not taken: %s", who.to, error)
        else:
            return True
    return False
