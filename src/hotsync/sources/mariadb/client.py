"""Speaks to a MariaDB server with its own client: the same login, the same rules, no password of ours.

Login is root's, by unix socket; where /root/.my.cnf has a password the tools read it themselves, HotSync never does.
A load logs in without that file, where this server lets root in: the file is the MASTER's by then.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.source import Dataset
from hotsync.system.command import ENVIRONMENT, LARGE_OUTPUT, failure, run

_ERROR = re.compile(r"^ERROR \d|^(?!Warning).*: (?:Got error|Couldn't|Error)")
DENIED = re.compile(r"\b(?:1045|1698|1227|1044|1142)\b")
# a limit that is meant for applications ends no question and no load of ours; servers before 10.1 know none, and must
# be given a statement that is not empty
_BEGIN = "SET autocommit=1 /*M!100101 , max_statement_time=0 */"
REFUSED = re.compile(r"\b(?:1045|1698)\b")
"""Of those above: the login itself."""
UNREACHABLE = re.compile(r"\b(?:2002|2003|2006|2013|1053)\b")
FULL = re.compile(r"\b(?:1040|1203|1226)\b")


def server_version(dataset: Dataset) -> str:
    """Given a server, return what it says its version is; raise CommandFailed."""
    return ask(dataset, "SELECT VERSION();")[0][0]


def is_mariadb(version: str) -> bool:
    """Given a version as a server says it, return whether it is MariaDB, and not MySQL or one made of it."""
    return "mariadb" in version.lower()


def parse_rows(text: str) -> list[list[str]]:
    """Given what `mariadb --batch` prints, return its rows with the escapes undone."""
    plain = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}

    def unescape(value: str) -> str:
        return re.sub(r"\\(.)", lambda match: plain.get(match[1], match[1]), value)

    return [[unescape(value) for value in line.split("\t")] for line in text.split("\n") if line]


def ask(dataset: Dataset, sql: str, *options: str, timeout: float = 600.0) -> list[list[str]]:
    """Return a server's answers; raise CommandFailed (with `--force` only if it cannot be asked at all)."""
    argv = [*client(dataset, loading=False), *options]
    forced = "--force" in options
    text = sql.encode("utf-8", "surrogateescape")
    completed = run(argv, input=text, ok=(0, 1) if forced else (0,), timeout=timeout, limit=LARGE_OUTPUT)
    if completed.returncode and (UNREACHABLE.search(completed.errors) or FULL.search(completed.errors)):
        raise failure(argv, completed.returncode, completed.errors)
    return parse_rows(completed.text)


def client(dataset: Dataset, *, loading: bool) -> list[str]:
    """Return the client's command line: to ask questions on stdin, or to load a dump from there."""
    # binary mode takes line ends as they are and obeys no client command but DELIMITER: what is loaded is data;
    # without --comments the client would strip them from routines
    mode = ["--binary-mode", "--comments", "--max-allowed-packet=1G"] if loading else ["--batch", "--skip-column-names"]
    # --no-defaults counts only as the first word
    own = ["--no-defaults", "--user=root"] if dataset.own_login else []
    # a server may ask the client for any file of this host; ours gives none
    mode += ["--skip-local-infile", "--default-character-set=utf8mb4", f"--init-command={_BEGIN}"]
    return [program("mariadb", "mysql"), *own, *connection(dataset), *mode]


def with_own_login(dataset: Dataset) -> Dataset:
    """Given a server, return it with root's own login by socket, or as it is where the server does not take that."""
    own = replace(dataset, own_login=True)
    try:
        ask(own, "SELECT 1;")
    except CommandFailed:
        return dataset  # with the option files; what is wrong with those is said by who asks next
    return own


def login(dataset: Dataset) -> tuple[str, str]:
    """Return the account that we are on this server: user and host."""
    user, _, host = ask(dataset, "SELECT CURRENT_USER();")[0][0].rpartition("@")
    return user, host


def connection(dataset: Dataset) -> list[str]:
    """Return the arguments that lead to a server: its socket, never the network."""
    return ["--protocol=socket", f"--socket={dataset.socket}"]


def program(name: str, older: str) -> str:
    """Return the name under which a tool is installed here."""
    return name if shutil.which(name, path=ENVIRONMENT["PATH"]) else older


def detail(error: CommandFailed) -> str:
    """Return what a tool said; its messages may quote several lines, of which the first one says what is wrong."""
    said = next((line for line in error.stderr.splitlines() if _ERROR.search(line)), str(error.facts["detail"]))
    return f"{Path(str(error.facts['program'])).name}: {said[:500]}"
