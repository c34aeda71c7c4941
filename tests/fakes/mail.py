"""A carrier of mails that keeps what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage

from hotsync.report.mail import MailNotSent


@dataclass
class Box:
    """Takes every mail, unless it is `full`."""

    mails: list[EmailMessage] = field(default_factory=list[EmailMessage])
    full: bool = False

    def send(self, message: EmailMessage) -> None:
        if self.full:
            raise MailNotSent("no route to host")
        self.mails.append(message)

    def probe(self, sender: str, to: str) -> None:
        """It would take any."""
