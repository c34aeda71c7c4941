"""Tells the administrator: the MASTER through its own mail server, the SLAVE straight through a relay."""

from __future__ import annotations

import logging
import os
import pwd
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.config.schema import Settings
from hotsync.model.alerts import DAY, Alert, Occasion, next_alert, unanswered
from hotsync.model.identity import Role
from hotsync.report.letters import Trouble, in_words, letter, test_letter
from hotsync.report.mail import (
    SENDMAIL,
    Carrier,
    LocalMailServer,
    MailNotSent,
    MailPartlySent,
    MailUnanswered,
    Relay,
    compose,
    message_id,
    subject_of,
)
from hotsync.report.smtp import TAKEN_SECONDS
from hotsync.state.alerts import AlertBook

_log = logging.getLogger("hotsync.notify")
RELAY_ALERT = "relay"
RELAY_SECONDS = 30.0
"""How long a relay may look at a mail where somebody, or the next step, waits for what is mailed."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who gets the mails, from whom, and by which ways, tried in order."""

    to: str
    sender: str
    carriers: tuple[Carrier, ...]


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a mail: whether somebody took it, whether that is `unsure`, and which addressees get none."""

    taken: bool
    unsure: bool = False
    fault: str = ""


def addressee_of(settings: Settings, role: Role, patience: float = TAKEN_SECONDS) -> Addressee:
    """Given the settings, return who is told and how; `patience` is how long a relay may look at a mail."""
    known = settings.notify_relay
    relay = Relay(known.host, known.port, patience) if known else None
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
    forgotten again, and the next run tries anew. One of which nobody says whether it was taken counts as told for some
    hours, and then goes out under the same Message-ID.
    """
    known = book.get(about)
    alert, occasion = next_alert(known, trouble is not None, trouble.code if trouble else "", now)
    if alert != known:
        book.set(about, alert)
    if occasion is None or alert is None:
        return None
    told = trouble or Trouble(in_words(about), "", "", "", "")
    host = socket.gethostname()
    body = letter(told, occasion, host, alert, now, notices)
    again = known is not None and known.unsure and occasion is Occasion.REMINDER and told.code in dict(known.told)
    first = known.unsure if known is not None and again else now
    posted = post(who, subject_of(host, occasion, told.about), body, now, message_id(who.sender, host, about, first))
    if posted.taken:
        if posted.unsure and occasion is not Occasion.RECOVERY:
            book.set(about, unanswered(alert, first, now))
        if posted.fault:
            _ask_again(book)
        return occasion
    book.set(about, known)
    book.set(RELAY_ALERT, None)  # what was proven is not so any more
    return None


def remind(book: AlertBook, who: Addressee, about: str, trouble: Trouble, now: float) -> Occasion | None:
    """Mail again of what was mailed and goes on, once that is a day ago; return the occasion.

    Only a reminder: whoever is at work on it tells what is new of it.
    """
    known = book.get(about)
    if known is None or not known.open:
        return None
    code = known.told[-1][0] if known.told else trouble.code
    if next_alert(known, True, code, now)[1] is not Occasion.REMINDER:
        return None
    return tell(book, who, about, replace(trouble, code=code), now)


def is_due(book: AlertBook, about: str, trouble: Trouble | None, now: float) -> bool:
    """Given the same as `tell`, return whether a mail is still to be written, since nobody took it."""
    return next_alert(book.get(about), trouble is not None, trouble.code if trouble else "", now)[1] is not None


def has_no_way(settings: Settings, role: Role) -> bool:
    """Return whether this host has neither a mail server nor a relay: then nobody hears of what fails."""
    return settings.notify_relay is None and (role is Role.SLAVE or not os.access(SENDMAIL, os.X_OK))


def mail_fault(who: Addressee) -> str:
    """Return "" or why no mail can leave this host, or none for some addressees, as far as can be seen without one."""
    return _asked(who).fault


def _asked(who: Addressee) -> Posted:
    """Return what would become of a mail now."""
    faults: list[str] = []
    for carrier in who.carriers:
        try:
            carrier.probe(who.sender, who.to)
        except MailPartlySent as error:
            return Posted(True, fault=str(error))
        except MailNotSent as error:
            faults.append(str(error))
        else:
            return Posted(True)
    return Posted(False, fault="; ".join(faults) or "no relay is set (config setprop hotsync NotifyRelay HOST)")


def prove_relay(book: AlertBook, who: Addressee, now: float) -> str:
    """Return "" or why it is not proven that the SLAVE's mails leave it, for all who are to get them.

    A test mail goes once by each way, and again after a mail was not taken; every day the relay is asked anew, while it
    refuses some addressees each time. Where it does not say whether it took the test mail, the next goes a day later.
    """
    way, silent = f"{who.to}:{who.carriers!r}", f"unanswered:{who.to}:{who.carriers!r}"
    proof = book.get(RELAY_ALERT)
    if not who.carriers:
        return "no relay is set (config setprop hotsync NotifyRelay HOST)"
    if proof is not None and way in dict(proof.told):
        if 0 <= now - proof.mailed_at < DAY:
            return ""
        asked = _asked(who)
        if not asked.taken:
            book.set(RELAY_ALERT, None)
            return f"the relay takes no mail any more: {asked.fault}"
    else:
        waits = proof if proof is not None and silent in dict(proof.told) else None
        if waits is not None and 0 <= now - waits.mailed_at < DAY:
            return _SILENT
        first = waits.since if waits is not None else now
        host = socket.gethostname()
        known_as = message_id(who.sender, host, RELAY_ALERT, first)
        asked = post(who, f"[HotSync] {host}: test mail", test_letter(host), now, known_as)
        if not asked.taken:
            return "the relay did not take the test mail"
        if asked.unsure:
            book.set(RELAY_ALERT, Alert(first, now, ((silent, now),)))
            return _SILENT
    book.set(RELAY_ALERT, Alert(now, now, ((way, now),)))
    if asked.fault:
        _ask_again(book)
        return f"the relay takes mail, but not for all addressees: {asked.fault}"
    return ""


_SILENT = "the relay got the test mail, and did not say whether it took it; the next one goes a day after it"


def _ask_again(book: AlertBook) -> None:
    """Some addressees are refused: whether the relay takes their mail is to be asked by the next hotsync-slave."""
    proof = book.get(RELAY_ALERT)
    if proof is not None:
        book.set(RELAY_ALERT, replace(proof, mailed_at=0.0))


def post(who: Addressee, subject: str, body: str, now: float, known_as: str = "") -> Posted:
    """Hand a mail to the first way that takes it; return what became of it. By every way it has the same Message-ID."""
    known_as = known_as or message_id(who.sender, socket.gethostname(), subject, now)
    for carrier in who.carriers:
        try:
            carrier.send(compose(who.to, who.sender, subject, body, now, known_as))
        except MailNotSent as error:
            _log.warning("mail to %s was not taken: %s", who.to, error)
        except MailPartlySent as error:
            _log.warning("mail to %s was not taken for all: %s", who.to, error)
            return Posted(True, fault=str(error))
        except MailUnanswered as error:
            _log.warning("nobody said whether a mail to %s was taken: %s", who.to, error)
            return Posted(True, unsure=True)
        else:
            return Posted(True)
    return Posted(False)
