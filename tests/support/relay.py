"""A relay of which a test says what it answers, and when: what comes late, never, or after the end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Answers:
    """What a relay does: `late`: so long it looks at a mail before it answers; `mute`: it hangs up instead; `refuses`:
    addressees, with the answer to each; `at_quit` and `to_data` are its answers there."""

    late: float = 0.0
    mute: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict[str, str])
    to_data: str = "354 go on"
    to_mail: str = "250 queued"
    at_quit: str = "221 bye"


@dataclass
class SeenRelay:
    """A relay that runs: its port, and each mail that it has taken, with those whom it is for."""

    port: int
    answers: Answers
    mails: list[tuple[tuple[str, ...], str]] = field(default_factory=list[tuple[tuple[str, ...], str]])

    @property
    def ids(self) -> list[str]:
        """Return the Message-ID of each mail that was taken."""
        lines = [line for _, text in self.mails for line in text.splitlines()]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith("message-id:")]


@contextmanager
def relay(answers: Answers) -> Iterator[SeenRelay]:
    """Be a relay on a port of this host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = SeenRelay(listener.getsockname()[1], answers)
        thread = threading.Thread(target=_serve, args=(listener, seen), daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(listener: socket.socket, seen: SeenRelay) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                _talk(client, seen)


def _talk(client: socket.socket, seen: SeenRelay) -> None:
    answers, to = seen.answers, list[str]()
    lines = client.makefile("rb")

    def say(line: str) -> None:
        client.sendall(f"{line}\r\n".encode())

    say("220 relay")
    for line in lines:
        words = line.decode().strip()
        verb = words.partition(" ")[0].upper()
        if verb == "RCPT":
            address = words[words.index("<") + 1 : words.index(">")]
            if address in answers.refuses:
                say(answers.refuses[address])
                continue
            to.append(address)
        if verb == "DATA":
            say(answers.to_data)
            if not answers.to_data.startswith("354"):
                continue
            text = list[bytes]()
            for row in lines:
                if row == b".\r\n":
                    break
                text.append(row.removeprefix(b".") if row.startswith(b"..") else row)
            if answers.to_mail.startswith("2"):
                seen.mails.append((tuple(to), b"".join(text).decode()))
            time.sleep(answers.late)
            if answers.mute:
                return
            say(answers.to_mail)
        elif verb == "QUIT":
            say(answers.at_quit)
            return
        else:
            say("250 fine")
