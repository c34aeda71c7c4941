"""What the people do from their desks: write and read mail, share files, place orders, read the web site.

Everything here runs in the client's network; it knows the MASTER's address and nothing of HotSync.
"""

from __future__ import annotations

import http.client
import imaplib
import json
import smtplib
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage

import psycopg
import pymysql

SERVER = "10.77.0.1"
PASSWORD = "Demo-2026"
DOMAIN = "lab.example"


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the lab's certificates are self-made
    return context


def send_mail(person: str, to: str, subject: str) -> None:
    """Log in to the submission port and send one mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"{person}@{DOMAIN}", f"{to}@{DOMAIN}", subject
    message.set_content(f"{subject}\n" * 20)
    with smtplib.SMTP(SERVER, 587, timeout=20) as smtp:
        smtp.starttls(context=_trusting())
        smtp.login(person, PASSWORD)
        smtp.send_message(message)


def read_mail(person: str) -> list[str]:
    """Log in to the mailbox and return the subjects in it, sorted."""
    with imaplib.IMAP4(SERVER, timeout=20) as imap:
        imap.starttls(_trusting())
        imap.login(person, PASSWORD)
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "ALL")
        subjects = []
        for number in found[0].split():
            _, parts = imap.fetch(number.decode(), "(BODY[HEADER.FIELDS (SUBJECT)])")
            part = parts[0]
            assert isinstance(part, tuple)
            subjects.append(part[1].decode().removeprefix("Subject:").strip())
    return sorted(subjects)


def share(person: str, commands: str) -> str:
    """Do something in the share, as smbclient says it."""
    return _program(["smbclient", f"//{SERVER}/projects", "-U", f"{person}%{PASSWORD}", "-c", commands])


def put_file(person: str, name: str, text: str) -> None:
    """Save a file in the share."""
    subprocess.run(
        ["smbclient", f"//{SERVER}/projects", "-U", f"{person}%{PASSWORD}", "-c", f"put /dev/stdin {name}"],
        input=text.encode(), check=True, capture_output=True,
    )  # fmt: skip


def get_file(person: str, name: str) -> str:
    """Open a file of the share."""
    return _program(["smbclient", f"//{SERVER}/projects", "-U", f"{person}%{PASSWORD}", "-E", "-c", f"get {name} -"])


def list_files(person: str) -> list[str]:
    """List the share with attributes, sizes left out."""
    lines = [line.split() for line in share(person, "ls").splitlines() if line.startswith("  ")]
    return sorted(f"{words[0]} {words[1]}" for words in lines if len(words) > 6 and words[0] not in (".", ".."))


def nt_acl(person: str, name: str) -> list[str]:
    """Return the NT access list of a file as Windows would show it."""
    acl = _program(["smbcacls", f"//{SERVER}/projects", name, "-U", f"{person}%{PASSWORD}", "--numeric"])
    return sorted(line for line in acl.splitlines() if line.startswith(("ACL:", "OWNER:", "GROUP:")))


def _program(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stdout.strip()} {done.stderr.strip()}")
    return done.stdout


def web_page(path: str = "/") -> str:
    """Read a page of the web site."""
    connection = http.client.HTTPConnection(SERVER, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: status {answer.status}")
    return text


@contextmanager
def shop() -> Iterator[pymysql.connections.Connection[pymysql.cursors.Cursor]]:
    """Log in to the MariaDB database."""
    connection = pymysql.connect(
        host=SERVER,
        user="app",
        password=PASSWORD,
        database="shop",
        autocommit=True,
        connect_timeout=10,
        read_timeout=10,
    )
    try:
        yield connection
    finally:
        connection.close()


def ledger() -> psycopg.Connection:
    """Log in to the PostgreSQL database."""
    return psycopg.connect(
        host=SERVER, user="app", password=PASSWORD, dbname="ledger", autocommit=True, connect_timeout=10,
        options="-c statement_timeout=10000",
    )  # fmt: skip


def orders() -> list[int]:
    """Return the numbers of all orders, sorted."""
    with shop() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM orders ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def entries() -> list[int]:
    """Return the numbers of all ledger entries, sorted."""
    with ledger() as connection:
        return [row[0] for row in connection.execute("SELECT id FROM entry ORDER BY id").fetchall()]


def work_until_it_dies(log: str) -> None:
    """Place orders and write ledger entries, one after the other, noting each that was acknowledged; end when told."""
    stop = threading.Event()
    with open(log, "a", buffering=1) as notes:

        def keep(name: str, insert: Callable[[int], None], first: int) -> None:
            number = first
            while not stop.is_set():
                try:
                    insert(number)
                except (pymysql.MySQLError, psycopg.Error, OSError):
                    return
                notes.write(f"{name} {number} {time.time():.6f}\n")
                number += 1
                stop.wait(0.005)

        def orders_of(connection: pymysql.connections.Connection[pymysql.cursors.Cursor]) -> Callable[[int], None]:
            def insert(number: int) -> None:
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO orders (id, item) VALUES (%s, %s)", (number, f"item {number}"))

            return insert

        with shop() as first, ledger() as second:
            starts = (len(orders()) + 1, len(entries()) + 1)
            insert_entry = "INSERT INTO entry (id, note) VALUES (%s, %s)"
            workers = [
                threading.Thread(target=keep, args=("order", orders_of(first), starts[0])),
                threading.Thread(
                    target=keep, args=("entry", lambda number: second.execute(insert_entry, (number, "x")), starts[1])
                ),
            ]
            for worker in workers:
                worker.start()
            sys.stdin.read()  # the story closes our stdin when the day is over
            stop.set()
            for worker in workers:
                worker.join()


def _accepts_mail(person: str) -> str:
    with smtplib.SMTP(SERVER, 587, timeout=20) as smtp:
        smtp.starttls(context=_trusting())
        smtp.login(person, PASSWORD)
        smtp.mail(f"{person}@{DOMAIN}")
        code, answer = smtp.rcpt(f"bruno@{DOMAIN}")
        smtp.rset()
    if code >= 300:
        raise RuntimeError(answer.decode())
    return "accepted"


QUESTIONS: dict[str, Callable[[], object]] = {
    "mail read (IMAP login)": lambda: {person: read_mail(person) for person in ("anna", "bruno", "carla")},
    "mail accepted (SMTP login)": lambda: _accepts_mail("anna"),
    "share listed (Samba login)": lambda: list_files("anna"),
    "share content": lambda: {name.split()[0]: get_file("anna", name.split()[0]) for name in list_files("anna")},
    "share NT access list": lambda: nt_acl("anna", "plan.txt"),
    "orders (MariaDB login)": orders,
    "entries (PostgreSQL login)": entries,
    "web site": lambda: [web_page("/"), web_page("/news/")],
}
"""What the client asks of each service."""


def look() -> dict[str, object]:
    """Use every service once, with real logins, and return what was found; a service that fails says how."""
    found: dict[str, object] = {}
    for name, question in QUESTIONS.items():
        started = time.monotonic()
        try:
            found[name] = {"found": question(), "seconds": round(time.monotonic() - started, 3)}
        except Exception as error:  # every failure is an answer here
            found[name] = {"error": f"{type(error).__name__}: {error}"}
    return found


def main() -> None:
    """Given a deed and its words on the command line, do it; what was found is one JSON document."""
    deed, *words = sys.argv[1:]
    deeds: dict[str, Callable[..., object]] = {
        "mail": send_mail,
        "put": put_file,
        "share": share,
        "work": work_until_it_dies,
        "look": look,
    }
    with suppress(BrokenPipeError):
        print(json.dumps(deeds[deed](*words)))


if __name__ == "__main__":
    main()
