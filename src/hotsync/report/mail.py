"""Mail that says what happened and what to do: by the local mail server, or straight to a relay."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import smtplib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol

from hotsync.errors import CommandFailed
from hotsync.model.alerts import Occasion
from hotsync.model.readable import readable
from hotsync.report.smtp import TAKEN_SECONDS, Session, Unanswered, session
from hotsync.system import command

SENDMAIL = "/usr/sbin/sendmail"
_SMTP_FAULT = 400


class MailNotSent(Exception):
    """The mail could not be handed over."""


class MailUnanswered(Exception):
    """All of the mail was handed over, and nobody said whether it is taken: sent again at once it may come twice."""


class MailPartlySent(Exception):
    """The mail was taken, but not for all addressees."""


class Carrier(Protocol):
    """A way for a mail to leave this host."""

    def send(self, message: EmailMessage) -> None:
        """Hand the mail over; raise MailNotSent if it was not taken, MailPartlySent, or MailUnanswered."""
        ...

    def probe(self, sender: str, to: str) -> None:
        """Find out whether a mail would be taken, without one; raise MailNotSent or MailPartlySent if not."""
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
    patience: float = TAKEN_SECONDS

    def send(self, message: EmailMessage) -> None:
        """Hand the mail to the relay; raise MailNotSent, MailPartlySent or MailUnanswered unless it says that it took
        it."""
        to = self._known_there(str(message["To"]))
        del message["To"]
        message["To"] = to
        with self._session() as smtp:
            refused = smtp.send_message(message)
        if refused:
            raise MailPartlySent(self._of(refused))

    def probe(self, sender: str, to: str) -> None:
        """Ask the relay whether it would take mail for these addressees; raise MailNotSent or MailPartlySent if not."""
        every = self._known_there(to).split(", ")
        with self._session() as smtp:
            code, text = smtp.mail(sender)
            if code >= _SMTP_FAULT:
                raise MailNotSent(f"{self.host} port {self.port}: {_answer(code, text)}")
            answers = {one: smtp.rcpt(one) for one in every}
            smtp.rset()
        refused = {one: answer for one, answer in answers.items() if answer[0] >= _SMTP_FAULT}
        if refused:
            raise (MailNotSent if len(refused) == len(answers) else MailPartlySent)(self._of(refused))

    def _known_there(self, to: str) -> str:
        return full_addresses(to, self.host, socket.getfqdn())

    def _of(self, refused: Mapping[str, tuple[int, bytes]]) -> str:
        said = "; ".join(f"{one}: {_answer(*answer)}" for one, answer in refused.items())
        return f"{self.host} port {self.port}: {said}"

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with session(self.host, self.port, self.patience) as smtp:
                yield smtp
        except Unanswered as error:
            raise MailUnanswered(f"{self.host} port {self.port}: {error}") from error
        except smtplib.SMTPRecipientsRefused as error:
            raise MailNotSent(self._of(error.recipients)) from error
        except smtplib.SMTPResponseException as error:
            said = _answer(error.smtp_code, error.smtp_error)
            raise MailNotSent(f"{self.host} port {self.port}: {said}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailNotSent(f"{self.host} port {self.port}: {error}") from error


def _answer(code: int, text: bytes | str) -> str:
    return readable(f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}")


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


def message_id(sender: str, *parts: object) -> str:
    """Given what makes a mail this one, return its Message-ID: sent twice, a mailbox can tell that it is the same."""
    known = hashlib.sha256("\0".join((sender, *map(str, parts))).encode("utf-8", "surrogateescape")).hexdigest()
    return f"<{known[:32]}@{sender.partition('@')[2] or 'localhost'}>"


def compose(to: str, sender: str, subject: str, body: str, now: float, known_as: str = "") -> EmailMessage:
    """Given the parts, and its Message-ID if it has one, return a mail that filters and people can read."""
    message = EmailMessage()
    message["From"] = f"HotSync <{sender}>"
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate(now)
    message["Message-ID"] = known_as or message_id(sender, socket.gethostname(), subject, now)
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
