"""An SMTP session for a mail that must neither be lost nor come twice: what a relay has taken, nothing takes back."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ANSWER_SECONDS = 20.0
DATA_SECONDS = 120.0
TAKEN_SECONDS = 600.0
"""So long a relay may look at a mail before it says whether it takes it (RFC 5321, 4.5.3.2): whoever leaves earlier
sends it twice."""


class Unanswered(Exception):
    """All of a mail was sent, and the relay has not said whether it took it."""


class Session(smtplib.SMTP):
    """A session that waits for the word on a mail as long as the standard wants, and tells when that does not come.

    `patience` is less where somebody waits for whoever sends it: the mail is not sent again for hours then.
    """

    patience = TAKEN_SECONDS

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        """Send a mail; return what the relay says of it. Raise SMTPDataError if it wants none, Unanswered."""
        self._wait_for(min(DATA_SECONDS, self.patience))
        code, text = self.docmd("DATA")
        if code != 354:
            raise smtplib.SMTPDataError(code, text)
        self._wait_for(self.patience)
        body = msg.encode("ascii") if isinstance(msg, str) else msg
        self.send(_dotted(body))
        try:
            return self.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise Unanswered(str(error)) from error
        finally:
            self._wait_for(ANSWER_SECONDS)

    def _wait_for(self, seconds: float) -> None:
        if self.sock is not None:
            self.sock.settimeout(seconds)


def _dotted(body: bytes) -> bytes:
    """Return a mail as it goes over the wire: a dot that begins a line is doubled, and one alone ends it."""
    text = re.sub(rb"(?m)^\.", b"..", body)
    return text + (b"" if text.endswith(b"\r\n") else b"\r\n") + b".\r\n"


@contextmanager
def session(host: str, port: int, patience: float = TAKEN_SECONDS) -> Iterator[Session]:
    """Be connected with a relay; raise OSError or SMTPException. What it says at the end changes nothing any more."""
    smtp = Session(host, port, timeout=ANSWER_SECONDS)
    smtp.patience = patience
    try:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls()  # opportunistic, as mail servers do between themselves
            smtp.ehlo()
        yield smtp
    finally:
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        smtp.close()
