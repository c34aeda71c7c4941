"""Mail that says what happened and what to do: by the local mail server, or straight to a relay."""

from __future__ import annotations

import ipaddress
import os
import smtplib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

from hotsync.errors import CommandFailed
from hotsync.model.alerts import Occasion
from hotsync.model.readable import readable
from hotsync.system import command

SENDMAIL = "/usr/sbin/sendmail"
RELAY_TIMEOUT = 20.0


class MailNotSent(Exception):
    """The mail could not be handed over."""


class Carrier(Protocol):
    """A way for a mail to leave this host."""

    def send(self, message: EmailMessage) -> None:
        """Hand the mail over; raise MailNotSent if it was not taken."""
        ...

    def probe(self, sender: str, to: str) -> None:
        """Find out whether a mail would be taken, without one; raise MailNotSent if not."""
        ...


@dataclass(frozen=True, slots=True)
class LocalMailServer:
    """This host's own sendmail: the MASTER's way."""

    def send(self, message: EmailMessage) -> None:
        """Hand the mail to sendmail; raise MailNotSent if there is none or it refuses."""
        try:
            command.run([SENDMAIL, "-oi", "-t"], input=message.as_bytes(), timeout=60)
        except CommandFailed as error:
            raise MailNotSent(error.sentence) from error

    def probe(self, sender: str, to: str) -> None:
        """Look whether there is a mail server; raise MailNotSent if there is none."""
        if not os.access(SENDMAIL, os.X_OK):
            raise MailNotSent(f"there is no mail server on this host ({SENDMAIL})")


@dataclass(frozen=True, slots=True)
class Relay:
    """Straight to another mail server by SMTP: the SLAVE's way, since its own mail server is muted."""

    host: str
    port: int = 25

    def send(self, message: EmailMessage) -> None:
        """Hand the mail to the relay; raise MailNotSent unless it says that it took it."""
        to = self._known_there(str(message["To"]))
        del message["To"]
        message["To"] = to
        with self._session() as smtp:
            smtp.send_message(message)

    def probe(self, sender: str, to: str) -> None:
        """Ask the relay whether it would take mail for these addressees; raise MailNotSent if not."""
        with self._session() as smtp:
            answers = [smtp.mail(sender), *(smtp.rcpt(one) for one in self._known_there(to).split(", "))]
            for code, text in answers:
                if code >= 400:
                    raise MailNotSent(f"{self.host} port {self.port}: {code} {text.decode('utf-8', 'replace')}")
            smtp.rset()

    def _known_there(self, to: str) -> str:
        return full_addresses(to, self.host, socket.getfqdn())

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        try:
            with smtplib.SMTP(self.host, self.port, timeout=RELAY_TIMEOUT) as smtp:
                smtp.ehlo()
                if smtp.has_extn("starttls"):
                    smtp.starttls()  # opportunistic, as mail servers do between themselves
                    smtp.ehlo()
                yield smtp
        except (OSError, smtplib.SMTPException) as error:
            raise MailNotSent(f"{self.host} port {self.port}: {error}") from error


def full_addresses(to: str, host: str, own_name: str) -> str:
    """Given addressees, a relay and this server's name, return them as a foreign mail server can know them."""
    domain = own_name if _is_address(host) else host
    return ", ".join(
        one if "@" in one else f"{one}@{domain}" for one in (part.strip() for part in to.split(",")) if one
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def compose(to: str, sender: str, subject: str, body: str, now: float) -> EmailMessage:
    """Given the parts, return a mail that filters and people can read."""
    message = EmailMessage()
    message["From"] = f"HotSync <{sender}>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate(now)
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def subject_of(host: str, occasion: Occasion, about: str) -> str:
    """Return the subject line: where, what, and whether it is new."""
    words = {
        Occasion.FAILURE: f"{about} failed",
        Occasion.REMINDER: f"{about} still fails",
        Occasion.RECOVERY: f"{about} works again",
    }
    return readable(f"[HotSync] {host}: {words[occasion]}")  # a subject has one line


def local_time(moment: float) -> str:
    """Return a moment as people write it, with the zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment))
