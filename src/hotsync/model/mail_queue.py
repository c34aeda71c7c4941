"""Where mail servers keep the mail that they have accepted and not yet delivered: pure.

A queue is one folder. What holds mail in it is named, and what else lies there, which belongs to the server that runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """One mail server's queue below `root` (no slash in front).

    `folders` hold its mails and what is known of each; a path in `mails`, one of them, that ends in `ending` is one
    mail. `own` is this host's: also mail that was given to the server and not taken into the queue yet.
    """

    title: str
    root: str
    folders: tuple[str, ...]
    own: tuple[str, ...]
    mails: tuple[str, ...]
    ending: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the folders that hold mail, each as a path."""
        return tuple(f"{self.root}/{name}" for name in self.folders)


def _exim(root: str) -> Queue:
    return Queue(
        "Exim",
        root,
        ("input", "msglog"),
        ("db", "gnutls-params*", "*.pid", "exim-process.info", "exim_daemon_notify", "log", "scan"),
        ("input",),
        "-H",
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
)  # fmt: skip
"""Those of Postfix and of Exim, as Debian and as Red Hat's family name it."""


def is_queued_mail(path: str) -> bool:
    """Given the path of a file (no slash in front), return whether it is a mail that waits for being delivered."""
    return any(
        path.startswith(f"{queue.root}/{name}/") and path.endswith(queue.ending)
        for queue in QUEUES
        for name in queue.mails
    )


def is_queues_folder(path: str) -> bool:
    """Given the path of a folder, return whether it is a queue, or lies in one."""
    return any(f"{path}/".startswith(f"{queue.root}/") for queue in QUEUES)
