"""Mail that says what happened and what to do: by the local mail server, or straight to a relay."""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

from hotsync.errors import CommandFailed
from hotsync.model.alerts import Occasion
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


@dataclass(frozen=True, slots=True)
class LocalMailServer:
    """This host's own sendmail: the MASTER's way."""

    def send(self, message: EmailMessage) -> None:
        """Hand the mail to sendmail; raise MailNotSent if there is none or it refuses."""
        try:
            command.run([SENDMAIL, "-oi", "-t"], input=message.as_bytes(), timeout=60)
        except CommandFailed as error:
            raise MailNotSent(error.sentence) from error


@dataclass(frozen=True, slots=True)
class Relay:
    """Straight to another mail server by SMTP: the SLAVE's way, since its own mail server is muted."""

    host: str
    port: int = 25

    def send(self, message: EmailMessage) -> None:
        """Hand the mail to the relay; raise MailNotSent unless it says that it took it."""
        try:
            with smtplib.SMTP(self.host, self.port, timeout=RELAY_TIMEOUT) as smtp:
                smtp.ehlo()
                if smtp.has_extn("starttls"):
                    smtp.starttls()  # opportunistic, as mail servers do between themselves
                    smtp.ehlo()
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailNotSent(f"{self.host} port {self.port}: {error}") from error


def parse_relay(value: str) -> Relay:
    """Given the prop NotifyRelay (host or host:port; IPv6 in brackets), return the relay."""
    if value.startswith("["):
        host, _, rest = value[1:].partition("]")
        return Relay(host, int(rest.removeprefix(":") or 25))
    host, _, port = value.partition(":")
    return Relay(host, int(port or 25))


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
    return f"[HotSync] {host}: {words[occasion]}"


def local_time(moment: float) -> str:
    """Return a moment as people write it, with the zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment))
