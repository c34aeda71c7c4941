"""The checks log in as people do; what they say to whom is seen from the other side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.backends import login_checks
from hotsync.backends.login_checks import CheckAccount
from hotsync.model.report import Verdict
from hotsync.model.secret import Secret
from hotsync.system import command

pytestmark = pytest.mark.contract

ANNA = CheckAccount("anna", Secret('se"cret \\ word'))
WRONG = CheckAccount("anna", Secret("wrong"))
Answer = Callable[[str], str]


@contextmanager
def server(greeting: str, answer: Answer) -> Iterator[tuple[int, list[str]]]:
    """A server that answers line by line; its port, and the lines that it was told."""
    told: list[str] = []
    with socket.create_server(("localhost", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw", encoding="utf-8", newline="\r\n") as lines:
                lines.write(greeting + "\r\n")
                lines.flush()
                for line in lines:
                    told.append(line.rstrip())
                    lines.write(answer(line.rstrip()))
                    lines.flush()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], told
        thread.join(timeout=30)


def imap(line: str) -> str:
    tag, verb, *words = line.split(" ", 2)
    match verb.upper():
        case "CAPABILITY":
            return f"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"
        case "LOGIN" if words[0] == 'anna "se\\"cret \\\\ word"':
            return f"{tag} OK logged in\r\n"
        case "LOGIN":
            return f"{tag} NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
        case "EXAMINE":
            return f"* 3 EXISTS\r\n{tag} OK [READ-ONLY] done\r\n"
        case "LOGOUT":
            return f"* BYE\r\n{tag} OK done\r\n"
        case _:
            return f"{tag} BAD what?\r\n"


def smtp(line: str) -> str:
    verb = line.split(" ")[0].upper()
    if verb == "EHLO":
        return "250-here\r\n250 AUTH PLAIN\r\n"
    if verb == "AUTH":
        return "235 welcome\r\n" if line.endswith("AGFubmEAc2UiY3JldCBcIHdvcmQ=") else "535 authentication failed\r\n"
    return "221 bye\r\n" if verb == "QUIT" else "250 fine\r\n"


def test_a_mailbox_is_opened_by_a_login_of_the_check_account() -> None:
    with server("* OK here", imap) as (port, told):
        check = login_checks.check_imap("i", "a mailbox opens", port, ANNA)
    assert (check.verdict, check.detail) == (Verdict.GREEN, "anna logged in and opened a mailbox of 3 mails")
    assert "EXAMINE INBOX" in "\n".join(told)


def test_a_login_that_the_mailbox_server_refuses_is_red_and_shows_no_password() -> None:
    with server("* OK here", imap) as (port, _):
        check = login_checks.check_imap("i", "a mailbox opens", port, WRONG)
    assert check.verdict is Verdict.RED
    assert "Authentication failed" in check.detail
    assert "wrong" not in str(check)


def test_mail_is_taken_at_one_port_and_the_check_account_logs_in_at_the_other() -> None:
    with server("220 here", smtp) as (port, told), server("220 here", smtp) as (submission, said):
        check = login_checks.check_smtp("s", "mail is accepted", port, submission, "postmaster", ANNA)
    assert check.verdict is Verdict.GREEN
    assert f"anna logged in at port {submission}" in check.detail
    assert not [line for line in told if line.startswith("AUTH")]
    assert [line for line in said if line.startswith("AUTH")]


def test_a_login_that_the_mail_server_refuses_is_red_also_if_it_takes_mail() -> None:
    with server("220 here", smtp) as (port, _), server("220 here", smtp) as (submission, _):
        check = login_checks.check_smtp("s", "mail is accepted", port, submission, "postmaster", WRONG)
    assert check.verdict is Verdict.RED
    assert "535" in check.detail


def test_without_an_account_mail_is_asked_for_as_before_and_the_answer_says_that_no_login_was_tried() -> None:
    with server("220 here", smtp) as (port, _):
        check = login_checks.check_smtp("s", "mail is accepted", port, 587, "postmaster", None)
    assert check.verdict is Verdict.GREEN
    assert "no login was tried" in check.detail


@pytest.fixture
def smbclient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client in place of the real one, which says what the file `script` tells it to."""
    program = tmp_path / "smbclient"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\n. {tmp_path}/script\n')
    program.chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}:{command.ENVIRONMENT['PATH']}")
    return tmp_path / "script"


def test_shares_are_listed_to_the_check_account_whose_password_is_in_no_argument(smbclient: Path) -> None:
    smbclient.write_text(f'cat "$3" >{smbclient.parent}/account; echo "Disk|projects|x"; echo "IPC|IPC$|y"\n')
    check = login_checks.check_smb("f", "shares are listed", ANNA)
    assert (check.verdict, check.detail) == (Verdict.GREEN, "anna logged in and sees 1 shares")
    assert (smbclient.parent / "account").read_text() == 'username = anna\npassword = se"cret \\ word\n'
    assert "cret" not in (smbclient.parent / "words").read_text()


@pytest.mark.parametrize("account", [None, ANNA])
def test_where_no_client_of_file_servers_is_installed_the_port_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: login_checks.CheckAccount | None
) -> None:
    """Debian's samba does not need smbclient; a file server without it was red after every promotion."""
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", str(tmp_path))
    with socket.create_server(("localhost", 0)) as here:
        monkeypatch.setattr(login_checks, "SMB_PORT", here.getsockname()[1])
        check = login_checks.check_smb("f", "shares are listed", account)
    assert check.verdict is Verdict.GREEN
    assert "smbclient is not installed" in check.detail
    assert login_checks.check_smb("f", "shares are listed", account).verdict is Verdict.RED, "nobody listens any more"


def test_a_server_that_shows_nothing_to_strangers_is_well(smbclient: Path) -> None:
    smbclient.write_text('echo "tree connect failed: NT_STATUS_ACCESS_DENIED" >&2; exit 1\n')
    check = login_checks.check_smb("f", "shares are listed", None)
    assert check.verdict is Verdict.GREEN
    assert "no login was tried" in check.detail


def test_a_file_server_that_refuses_the_check_account_is_red(smbclient: Path) -> None:
    smbclient.write_text('echo "session setup failed: NT_STATUS_LOGON_FAILURE" >&2; exit 1\n')
    assert login_checks.check_smb("f", "shares are listed", ANNA).verdict is Verdict.RED


def test_a_file_server_that_is_down_is_red_with_or_without_an_account(smbclient: Path) -> None:
    smbclient.write_text('echo "Connection to localhost failed (Error NT_STATUS_CONNECTION_REFUSED)" >&2; exit 1\n')
    assert login_checks.check_smb("f", "shares are listed", None).verdict is Verdict.RED
    assert login_checks.check_smb("f", "shares are listed", ANNA).verdict is Verdict.RED
