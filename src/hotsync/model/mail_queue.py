"""Where mail servers keep the mail that they have accepted and not yet delivered: pure.

A queue is one folder. What holds mail in it is named, and what else lies there, which belongs to the server that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Queue:
    """One mail server's queue below `root` (no slash in front).

    `folders` hold its mails and what is known of each ("": the root itself); a file in `mails`, one of them, whose name
    fits `one` is one mail. `own` is this host's: also mail that was given to the server and not taken into the queue
    yet.
    """

    title: str
    root: str
    folders: tuple[str, ...]
    own: tuple[str, ...]
    mails: tuple[str, ...]
    one: str = "*"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the folders that hold mail, each as a path."""
        return tuple(self._at(name) for name in self.folders)

    def is_mail(self, path: str) -> bool:
        """Given the path of a file, return whether it is a mail of this queue."""
        name = path.rpartition("/")[2]
        return fnmatchcase(name, self.one) and any(path.startswith(f"{self._at(where)}/") for where in self.mails)

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root


def _exim(root: str) -> Queue:
    return Queue(
        "Exim",
        root,
        ("input", "msglog"),
        ("db", "gnutls-params*", "*.pid", "exim-process.info", "exim_daemon_notify", "log", "scan"),
        ("input",),
        "*-H",
    )


QUEUES = (
    Queue(
        "Postfix",
        "var/spool/postfix",
        ("active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "saved", "trace"),
        ("dev", "etc", "flush", "lib", "maildrop", "pid", "private", "public", "quick-start", "restart", "run", "usr",
         "var"),
        ("active", "corrupt", "deferred", "hold", "incoming", "saved"),
    ),
    _exim("var/spool/exim4"),
    _exim("var/spool/exim"),
    Queue("Sendmail", "var/spool/mqueue", ("",), (".hoststat",), ("",), "[qQh]f*"),
    Queue(
        "OpenSMTPD",
        "var/spool/smtpd",
        ("corrupt", "queue"),
        ("incoming", "offline", "purge", "temporary"),
        ("queue",),
        "message",
    ),
    Queue("nullmailer", "var/spool/nullmailer", ("failed", "queue"), ("tmp", "trigger"), ("queue",)),
)  # fmt: skip
"""Those of the mail servers that Debian and Red Hat's family have; Exim's is named differently by each."""


def is_queued_mail(path: str) -> bool:
    """Given the path of a file (no slash in front), return whether it is a mail that waits for being delivered."""
    return any(queue.is_mail(path) for queue in QUEUES)


def is_queues_folder(path: str) -> bool:
    """Given the path of a folder, return whether it is a queue, or lies in one."""
    return any(f"{path}/".startswith(f"{queue.root}/") for queue in QUEUES)
