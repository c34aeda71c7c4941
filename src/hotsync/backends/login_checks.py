"""Logins as people log in: to their mailbox, to send a mail, to the shares; with the site's check account.

Without an account the service is asked as far as that goes, and the answer says that no login was tried.
"""

from __future__ import annotations

import imaplib
import os
import pwd
import shutil
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hotsync.backends.checks import HERE, TIMEOUT, Ill, ask
from hotsync.errors import CommandFailed
from hotsync.model.report import Check
from hotsync.model.secret import Secret
from hotsync.system import command

NO_LOGIN = "no login was tried: no check account is set (hotsync CheckUser, CheckPassword)"
SMB_PORT = 445
_FIRST_PERSON, _NOBODY = 1000, 60000
_ANSWERS = ("NT_STATUS_ACCESS_DENIED", "NT_STATUS_LOGON_FAILURE")
"""What a file server says to somebody without an account whom it does not let look at its shares."""


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """The account that the checks log in with."""

    name: str
    password: Secret


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # the name in the certificate is the public one, not localhost: only whether the login works is asked
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check_imap(name: str, title: str, port: int, account: CheckAccount | None, host: str = HERE) -> Check:
    """Return whether the check account can open its mailbox; without one, whether a session and a mailbox open."""

    def question() -> str:
        with imaplib.IMAP4(host, port, timeout=TIMEOUT) as imap:
            if account is None and host != HERE:
                return f"a session opens ({len(imap.capabilities)} capabilities); {NO_LOGIN}"
            if account is None:
                return f"{_look_into_a_mailbox(len(imap.capabilities))}; {NO_LOGIN}"
            if "STARTTLS" in imap.capabilities:
                imap.starttls(_trusting())
            imap.login(account.name, account.password.reveal())
            answer, found = imap.select("INBOX", readonly=True)
            if answer != "OK":
                raise Ill(f"{account.name} cannot open its mailbox: {_shown(found[0])}")
        return f"{account.name} logged in and opened a mailbox of {_shown(found[0])} mails"

    return ask(name, title, "journalctl -u dovecot says why.", question, (imaplib.IMAP4.error,))


def _look_into_a_mailbox(capabilities: int) -> str:
    user = _mailbox_owner(command.run(["doveadm", "user", "*"], ok=range(256)).text.split())
    if not user:
        return f"a session opens ({capabilities} capabilities); no mailbox is known by name"
    command.run(["doveadm", "mailbox", "status", "-u", user, "messages", "INBOX"], timeout=TIMEOUT * 3)
    return f"a session opens, and root can open the mailbox of {user}"


def _mailbox_owner(users: list[str]) -> str:
    """Given the users that the mailbox server knows, return one who may have mail: a person, or a virtual user."""
    system = {account.pw_name for account in pwd.getpwall() if not _FIRST_PERSON <= account.pw_uid < _NOBODY}
    return next((user for user in users if user not in system), "")


def check_smtp(
    name: str, title: str, port: int, submission: int, recipient: str, account: CheckAccount | None, host: str = HERE
) -> Check:
    """Return whether mail for a recipient is taken, as far as RCPT, and whether the check account can log in to send.

    `submission` is the port of that login; 0: there is none.
    """

    def question() -> str:
        with smtplib.SMTP(host, port, timeout=TIMEOUT) as smtp:
            smtp.ehlo()
            for code, answer in (smtp.mail(""), smtp.rcpt(recipient)):
                if code >= 400:
                    raise Ill(f"{code} {answer.decode('utf-8', 'replace')}")
            smtp.rset()
        accepted = f"mail for {recipient} is accepted"
        if not submission:
            return accepted
        return f"{accepted}; {NO_LOGIN if account is None else _log_in_to_send(host, submission, account)}"

    return ask(name, title, "journalctl -u 'postfix*' -u 'exim*' says why.", question, (smtplib.SMTPException,))


def _log_in_to_send(host: str, port: int, account: CheckAccount) -> str:
    try:
        smtp = smtplib.SMTP(host, port, timeout=TIMEOUT)
    except ConnectionRefusedError:
        return f"no login was tried: nobody listens on port {port}"
    with smtp:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=_trusting())
        smtp.login(account.name, account.password.reveal())
    return f"{account.name} logged in at port {port}"


def check_smb(name: str, title: str, account: CheckAccount | None, host: str = HERE) -> Check:
    """Return whether the file server lists its shares to the check account; without one, whether it speaks at all."""

    def question() -> str:
        if shutil.which("smbclient", path=command.ENVIRONMENT["PATH"]) is None:
            with socket.create_connection((host, SMB_PORT), TIMEOUT):
                return f"it answers at port {SMB_PORT}; its shares were not asked for, as smbclient is not installed"
        if account is None:
            return f"{_ask_anonymously(host)}; {NO_LOGIN}"
        with _as_file(account) as descriptor:
            argv = ["smbclient", "-g", "-A", f"/proc/self/fd/{descriptor}", "-L", host]
            listing = command.run(argv, timeout=TIMEOUT * 3, pass_fds=(descriptor,)).text
        return f"{account.name} logged in and sees {_count_shares(listing)} shares"

    return ask(name, title, "journalctl -u smbd says why; `testparm -s` checks its configuration.", question)


def _ask_anonymously(host: str) -> str:
    try:
        listing = command.run(["smbclient", "-g", "-N", "-L", host], timeout=TIMEOUT * 3)
    except CommandFailed as error:
        said = f"{error.facts.get('detail', '')} {error.stderr}"
        if any(answer in said for answer in _ANSWERS):
            return "the file server answers, and shows its shares to nobody without an account"
        raise
    if any(answer in listing.text + listing.errors for answer in _ANSWERS):
        return "the file server answers, and shows its shares to nobody without an account"
    return f"{_count_shares(listing.text)} shares are listed"


def _count_shares(listing: str) -> int:
    return sum(1 for line in listing.splitlines() if line.startswith("Disk|"))


@contextmanager
def _as_file(account: CheckAccount) -> Iterator[int]:
    """Return the account as smbclient reads it, in memory: neither in its arguments nor on a disk."""
    descriptor = os.memfd_create("hotsync-check-account")
    try:
        text = f"username = {account.name}\npassword = {account.password.reveal()}\n"
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _shown(answer: object) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
