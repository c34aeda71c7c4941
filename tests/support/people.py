"""People who write all the time, and count what was acknowledged: mails, files in a share, rows in a database.

As a program of its own (`python tests/support/people.py SERVER FOLDER`) it writes until it is ended; FOLDER gets a file
for each kind of work, with a line for each acknowledgement: its number and when it came.
"""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path

import psycopg

KINDS = ("mail", "file", "row")
PAUSE_SECONDS = 0.05
LONGEST_SECONDS = 3.0


class People:
    """What they do, each thing once; it raises where it was not acknowledged."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rows: psycopg.Connection | None = None

    def mail(self, number: int) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "out@side.example", "anna@lab.example", f"mail {number}"
        message.set_content("x\n")
        with smtplib.SMTP(self._server, 25, timeout=LONGEST_SECONDS) as smtp:
            smtp.send_message(message)

    def file(self, number: int) -> None:
        words = ["smbclient", f"//{self._server}/office", "-U", "anna%annas", "-c", f"put /dev/stdin {number}"]
        subprocess.run(words, input=f"{number}\n".encode(), check=True, capture_output=True, timeout=LONGEST_SECONDS)

    def row(self, number: int) -> None:
        try:
            if self._rows is None:
                self._rows = psycopg.connect(
                    host=self._server, user="postgres", dbname="bank", autocommit=True, connect_timeout=2,
                    tcp_user_timeout=3000,
                )  # fmt: skip
            self._rows.execute("INSERT INTO written VALUES (%s)", (number,))
        except psycopg.Error:
            self._rows = None
            raise


def work(what: Callable[[int], None], told: Path) -> None:
    """Do one thing after the other, and note each that was acknowledged; what was not is not tried again."""
    number = 0
    with told.open("w", buffering=1) as file:
        while True:
            number += 1
            try:
                what(number)
            except (OSError, smtplib.SMTPException, subprocess.SubprocessError, psycopg.Error):
                time.sleep(PAUSE_SECONDS)
                continue
            file.write(f"{number} {time.time():.3f}\n")
            time.sleep(PAUSE_SECONDS)


def read(folder: Path, kind: str) -> tuple[set[int], float]:
    """Return the numbers that were acknowledged, and the longest time in which none was."""
    lines = [line.split() for line in (folder / kind).read_text().splitlines() if line.endswith(tuple("0123456789"))]
    moments = [float(moment) for _, moment in lines]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return {int(number) for number, _ in lines}, max(gaps, default=0.0)


def main() -> None:
    people, folder = People(sys.argv[1]), Path(sys.argv[2])
    for kind in KINDS:
        threading.Thread(target=work, args=(getattr(people, kind), folder / kind), daemon=True).start()
    print("at work", flush=True)
    while os.getppid() > 0:
        time.sleep(60)


if __name__ == "__main__":
    main()
