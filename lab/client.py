"""The client: a network namespace where the people sit, and a server's partners: web server and mail relay."""

from __future__ import annotations

import email
import email.message
import email.policy
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO

from lab import network
from lab.cgroup import Group, clock_kept
from lab.command import run, start, wait_until, words_of
from lab.network import CLIENT, CLIENT_ADDRESS
from lab.places import CHECKOUT, RUN

_PYTHON = "/usr/bin/python3"


class Client:
    """Runs the programs of this machine on the lab's network."""

    name = CLIENT

    def __init__(self, lab: str) -> None:
        self._namespace = f"/run/netns/{network.namespace(lab, CLIENT)}"
        self._group = Group(lab, CLIENT)
        self.www = RUN / lab / "www"
        self._mail = RUN / lab / "mail"
        self._log = RUN / lab / "partners.log"

    def run(
        self,
        command: Sequence[str | Path] | str,
        *,
        input: str | bytes | None = None,
        check: bool = True,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Given a command (a list, or a line for `sh`), run it on the lab's network and return what it said."""
        return run(self.enter(words_of(command), env), input=input, check=check, timeout=timeout)

    def spawn(
        self,
        command: Sequence[str | Path] | str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = DEVNULL,
        stdout: int | IO[bytes] = PIPE,
        stderr: int | IO[bytes] = DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command there and return at once; it ends with the lab at the latest."""
        words = self._grouped("people", self.enter(words_of(command), env))
        return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)

    def enter(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a command there from here, with a clean environment."""
        settings = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}
        settings |= {"TERM": os.environ.get("TERM", "dumb"), **(env or {})}
        words = (f"{key}={value}" for key, value in settings.items())
        return clock_kept(["nsenter", f"--net={self._namespace}", "--", "env", "-i", *words, *command])

    # --- partners -----------------------------------------------------------------------------------------------------

    def start_web(self) -> None:
        """Serve the lab's repository, and whatever else lies in `www`, at port 80."""
        self.www.mkdir(parents=True, exist_ok=True)
        self._partner("web", 80, str(self.www))

    def start_sink(self) -> None:
        """Take every mail at port 25 and keep it."""
        self._mail.mkdir(parents=True, exist_ok=True)
        self._partner("sink", 25, str(self._mail))

    def stop_sink(self) -> None:
        """Let the mail relay be down; what it took stays."""
        self._group.child("sink").kill()

    def mails(self) -> list[email.message.EmailMessage]:
        """The mails that were taken, the oldest first; envelope as X-Lab-From and X-Lab-To."""
        files = sorted(self._mail.glob("*.eml"))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]

    def forget_mails(self) -> None:
        """Throw the mails away."""
        for file in self._mail.glob("*.eml"):
            file.unlink()

    def stop(self) -> None:
        """End all that was started here."""
        self._group.kill()
        self._group.remove()

    def _partner(self, what: str, port: int, folder: str) -> None:
        command = [_PYTHON, "-m", f"lab.{what}", CLIENT_ADDRESS, str(port), folder]
        words = self._grouped(what, self.enter(command, {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}))
        start(words, env={"PATH": os.environ["PATH"]}, output=self._log)
        listening = ["ss", "-Hltn", f"sport = :{port}"]
        wait_until(f"{what} listens at port {port}", 10, lambda: self.run(listening).stdout.strip())

    def _grouped(self, group: str, command: list[str]) -> list[str]:
        own = self._group.child(group)
        own.make()
        return own.enter(command)
