"""One question to a running service each (logins of people: login_checks.py): real sessions, not open ports.

Every function returns a Check; none raises because a service is ill.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from hotsync.errors import CommandFailed
from hotsync.model.report import Check, Verdict
from hotsync.system import command

TIMEOUT = 10.0
_DATABASES = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE datallowconn"
HERE = "localhost"
"""Where a check of this host asks."""


class Ill(Exception):
    """The service's answer, where it is not the wanted one."""


def ask(name: str, title: str, hint: str, question: Callable[[], str], ill: tuple[type[Exception], ...] = ()) -> Check:
    """Given a question that returns its answer, ask it; OSError, `Ill` and what is in `ill` make the check red."""
    caught: tuple[type[Exception], ...] = (OSError, Ill, http.client.HTTPException, *ill)
    try:
        detail = question()
    except CommandFailed as error:
        return Check(name, title, Verdict.RED, str(error.facts.get("detail", error.sentence)), hint)
    except caught as error:
        return Check(name, title, Verdict.RED, f"{error}" or type(error).__name__, hint)
    return Check(name, title, Verdict.GREEN, detail)


def check_unit(name: str, title: str, unit: str) -> Check:
    """Given a unit, return whether it is active."""

    def question() -> str:
        state = command.run(["systemctl", "is-active", unit], ok=range(256)).text.strip()
        if state != "active":
            raise Ill(f"{unit} is {state}")
        return f"{unit} is active"

    return ask(name, title, f"journalctl -u {unit} says why.", question)


def check_port(name: str, title: str, port: int, banner: str, host: str = HERE) -> Check:
    """Given a TCP port, return whether it answers, and first with `banner` where one is expected."""

    def question() -> str:
        with socket.create_connection((host, port), timeout=TIMEOUT) as connection:
            if not banner:
                return f"port {port} answers"
            said = connection.recv(256).decode("ascii", "replace")
        if not said.startswith(banner):
            raise Ill(f"port {port} says {said[:60]!r}")
        return said.strip()

    return ask(name, title, f"`ss -tlnp` shows who listens on port {port}.", question)


def check_http(name: str, title: str, url: str, at: str = "") -> Check:
    """Given a URL of this host, return whether it answers with a status below 500; `at` is another host to ask."""

    def question() -> str:
        parts = urlsplit(url)
        host, port = at or parts.hostname or HERE, parts.port or (443 if parts.scheme == "https" else 80)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            # the name in the certificate is the public one, not localhost: only whether the server serves is asked
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        try:
            connection.request("GET", parts.path or "/")
            status = connection.getresponse().status
        finally:
            connection.close()
        if status >= 500:
            raise Ill(f"{url} answers with status {status}")
        return f"{url} answers with status {status}"

    return ask(name, title, "The web server's error log says why.", question)


def check_mariadb(name: str, title: str, sockets: Callable[[], Iterable[str]]) -> Check:
    """Given what finds the sockets of the instances, return whether root can log in and look into every database."""

    def question() -> str:
        import pymysql

        count = 0
        for path in sockets():
            try:
                connection = pymysql.connect(unix_socket=path, user="root", connect_timeout=int(TIMEOUT))
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM information_schema.tables")
                    cursor.execute("SHOW DATABASES")
                    count += len(cursor.fetchall())
            except pymysql.MySQLError as error:
                raise Ill(f"{path}: {error}") from error
        return f"{count} databases can be entered"

    return ask(name, title, "journalctl -u mariadb says why.", question)


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """A PostgreSQL server to be asked: `ask` gives what one query in one of its databases returns, and raises
    CommandFailed; `fault`: why it cannot even be asked."""

    name: str
    ask: Callable[[str, str], str]
    fault: str = ""


def check_postgresql(name: str, title: str, servers: Callable[[], Iterable[PostgresqlServer]]) -> Check:
    """Given what finds the servers, return whether the user of each can log in and enter every database."""

    def question() -> str:
        count = 0
        for server in servers():
            if server.fault:
                raise Ill(f"{server.name}: {server.fault}")
            databases = json.loads(server.ask(_DATABASES, "template1"))
            for database in databases:
                server.ask("SELECT 1", database)
            count += len(databases)
            if not databases:
                raise Ill(f"cluster {server.name} has no database")
        return f"{count} databases can be entered"

    return ask(name, title, "journalctl -u 'postgresql*' says why.", question)


LDAP_PLACES = ("ldapi:///", "ldap://localhost")


def check_ldap(name: str, title: str, places: Sequence[str] = LDAP_PLACES) -> Check:
    """Return whether the directory server takes a bind, and what it says it serves can be asked for.

    An entry that is not shown to strangers is there all the same: that the server says so is an answer.
    """

    def question() -> str:
        place = next((place for place in places if _search(place, "", "1.1").returncode == 0), places[-1])
        said = _search(place, "", "namingContexts").text
        suffixes = [line.partition(": ")[2] for line in said.splitlines() if line.startswith("namingContexts: ")]
        for suffix in suffixes:
            answer = _search(place, suffix, "1.1")
            if answer.returncode not in _LDAP_ANSWERS:
                raise Ill(f"{suffix}: {answer.errors.strip()[:200]}")
        if not suffixes:
            raise Ill("it serves no database, or does not answer")
        return f"{len(suffixes)} databases answer"

    return ask(name, title, "journalctl -u slapd says why.", question)


_LDAP_ANSWERS = (0, 32, 48, 50)
"""Success; no such object, inappropriate authentication, insufficient access: what a stranger is told."""


def _search(place: str, base: str, attribute: str) -> command.Completed:
    options = ["-x", "-LLL", "-o", "ldif-wrap=no", "-o", f"nettimeout={TIMEOUT:.0f}", "-s", "base", "-b", base]
    return command.run(["ldapsearch", *options, "-H", place, attribute], ok=range(256), timeout=TIMEOUT * 3)
