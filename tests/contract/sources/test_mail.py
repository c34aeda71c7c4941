"""Mail as a sync carries it live, opened by the real programs: mailboxes with torn indexes, a queue with new inodes."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotsync.errors import CommandFailed
from hotsync.model.selection import Action
from hotsync.profiles.catalog import shipped
from hotsync.profiles.resolve import queue_rules, resolve
from hotsync.system import command
from tests.contract.sources.servers import open_folder

pytestmark = pytest.mark.contract

OWNER = "www-data"  # any account that is not root: Dovecot opens no mailbox as root


@dataclass
class Mailbox:
    """One person's mail, and doveadm to look at it without any server."""

    folder: Path
    location: str

    def run(self, *words: str, input: str = "") -> str:
        argv = ["doveadm", "-c", str(self.folder / "dovecot.conf"), *words]
        environment = {"USER": OWNER, "HOME": str(self.folder / "home")}
        return command.run(argv, input=input.encode(), env=environment, user=OWNER, cwd="/").text

    def save(self, *subjects: str) -> None:
        for subject in subjects:
            self.run("save", "-m", "INBOX", input=f"Subject: {subject}\n\nbody of {subject}\n")

    def mails_at_last(self) -> dict[str, tuple[str, frozenset[str]]]:
        """The same; what finds a torn log puts it right, but is itself told that it failed."""
        try:
            return self.mails()
        except CommandFailed:
            return self.mails()

    def mails(self) -> dict[str, tuple[str, frozenset[str]]]:
        """UID and flags of each mail by its subject."""
        text = self.run("-f", "tab", "fetch", "uid flags hdr.subject", "mailbox", "INBOX")
        rows = [line.split("\t") for line in text.splitlines()[1:]]
        return {subject: (uid, frozenset(flags.split()) - {"\\Recent"}) for uid, flags, subject in rows}


@pytest.fixture
def open_mailbox() -> Iterator[Callable[[str], Mailbox]]:
    with open_folder() as folder:

        def make(location: str) -> Mailbox:
            (folder / "home").mkdir()
            shutil.chown(folder / "home", OWNER, OWNER)
            where = location.format(home=folder / "home")
            (folder / "dovecot.conf").write_text(
                f"base_dir = {folder}/run\nlog_path = /dev/stderr\nmail_location = {where}\n"
                f"mail_home = {folder}/home\nmail_uid = {OWNER}\nmail_gid = {OWNER}\nfirst_valid_uid = 1\nssl = no\n"
                "protocols =\nstats_writer_socket_path =\nlock_method = fcntl\nmbox_lock_timeout = 1 secs\n"
            )
            return Mailbox(folder, location)

        yield make


def maildir_of(mailbox: Mailbox) -> Path:
    return mailbox.folder / "home/Maildir"


def filled(mailbox: Mailbox) -> None:
    mailbox.save("one", "two", "three", "four")
    mailbox.run("flags", "add", "\\Seen", "mailbox", "INBOX", "uid", "2,3")
    mailbox.run("flags", "add", "Important", "mailbox", "INBOX", "uid", "3")
    mailbox.run("expunge", "mailbox", "INBOX", "uid", "1")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


@pytest.mark.parametrize("damage", [cut, noise, Path.unlink])
@pytest.mark.parametrize("name", ["dovecot.index.log", "dovecot.index.cache", "dovecot.list.index.log"])
def test_a_torn_index_of_a_maildir_costs_neither_mails_nor_flags_nor_uids(
    open_mailbox: Callable[[str], Mailbox], name: str, damage: Callable[[Path], None]
) -> None:
    mailbox = open_mailbox("maildir:{home}/Maildir")
    filled(mailbox)
    before = mailbox.mails()
    assert {subject: uid for subject, (uid, _) in before.items()} == {"two": "2", "three": "3", "four": "4"}
    assert before["three"][1] == {"\\Seen", "Important"}
    damage(maildir_of(mailbox) / name)
    assert mailbox.mails_at_last() == before
    mailbox.save("five")
    assert mailbox.mails() == {**before, "five": ("5", frozenset())}


def test_an_index_that_is_older_than_the_mails_costs_nothing(open_mailbox: Callable[[str], Mailbox]) -> None:
    mailbox = open_mailbox("maildir:{home}/Maildir")
    filled(mailbox)
    folder = maildir_of(mailbox)
    old = {path: path.read_bytes() for path in folder.glob("dovecot.*index*")}
    mailbox.save("five", "six")
    mailbox.run("flags", "add", "\\Flagged", "mailbox", "INBOX", "uid", "2")
    mailbox.run("expunge", "mailbox", "INBOX", "uid", "5")
    before = mailbox.mails()
    for path, content in old.items():
        path.write_bytes(content)
    assert mailbox.mails() == before


def test_a_mail_that_the_list_of_uids_does_not_know_yet_gets_a_uid_of_its_own(
    open_mailbox: Callable[[str], Mailbox],
) -> None:
    mailbox = open_mailbox("maildir:{home}/Maildir")
    filled(mailbox)
    known, content = mailbox.mails(), (maildir_of(mailbox) / "dovecot-uidlist").read_bytes()
    mailbox.save("five")
    (maildir_of(mailbox) / "dovecot-uidlist").write_bytes(content)
    mails = mailbox.mails()
    assert {subject: mails[subject] for subject in known} == known
    assert mails["five"][0] not in {uid for uid, _ in known.values()}


def test_the_lock_of_a_process_that_is_no_more_keeps_nobody_out_of_a_maildir(
    open_mailbox: Callable[[str], Mailbox],
) -> None:
    mailbox = open_mailbox("maildir:{home}/Maildir")
    filled(mailbox)
    lock = maildir_of(mailbox) / "dovecot-uidlist.lock"
    with command.spawn(["true"]) as ended:
        ended.wait()
    lock.write_text(f"{ended.pid}:{os.uname().nodename}")
    shutil.chown(lock, OWNER, OWNER)
    mailbox.save("five")
    assert mailbox.mails()["five"][0] == "5"
    assert not lock.exists()


def test_the_lock_of_an_mbox_would_keep_people_out_and_is_not_carried(open_mailbox: Callable[[str], Mailbox]) -> None:
    mailbox = open_mailbox("mbox:{home}/mail:INBOX={home}/inbox")
    filled(mailbox)
    before = mailbox.mails()
    lock = mailbox.folder / "home/inbox.lock"
    lock.touch()
    shutil.chown(lock, OWNER, OWNER)
    with pytest.raises(CommandFailed):
        mailbox.save("five")
    lock.unlink()
    for path in (mailbox.folder / "home/mail/.imap/INBOX").glob("dovecot.index*"):
        cut(path)
    assert mailbox.mails_at_last() == before
    profiles = shipped()
    selection = resolve([profiles["base"], profiles["dovecot"]], [], [], lambda pattern: [pattern])
    carried = {path: selection.decide(path).action is Action.INCLUDE for path in (
        "var/mail/anna", "var/mail/anna.lock", "var/spool/mail/anna", "var/spool/mail/anna.lock",
        "home/anna/mail/Sent", "home/anna/mail/Sent.lock", "home/anna/yarn.lock",
        "home/anna/mail/.imap/Sent/dovecot.index", "var/vmail/anna/dovecot.index.cache",
    )}  # fmt: skip
    assert [path for path, is_carried in carried.items() if not is_carried] == [
        "var/mail/anna.lock", "var/spool/mail/anna.lock", "home/anna/mail/Sent.lock",
    ]  # fmt: skip


def test_a_queue_with_other_inodes_is_put_right_by_what_runs_when_postfix_starts() -> None:
    with open_folder() as folder:
        queue, etc = folder / "queue", folder / "etc"
        shutil.copytree("/etc/postfix", etc, symlinks=True)
        owner = pwd.getpwnam("postfix")
        for name in ("", "incoming", "active", "deferred", "deferred/A", "hold", "bounce", "defer", "flush", "corrupt",
                     "maildrop", "saved", "trace"):  # fmt: skip
            (queue / name).mkdir(mode=0o700 if name else 0o755)
            if name:
                os.chown(queue / name, owner.pw_uid, owner.pw_gid)
        main = [line for line in (etc / "main.cf").read_text().splitlines() if not line.startswith("queue_directory")]
        (etc / "main.cf").write_text("\n".join([*main, f"queue_directory = {queue}", "maillog_file =", ""]))
        mails = {"active": "A1B2C1A2B3C", "deferred/A": "A0000FFFFF1", "hold": "A0000FFFFF2"}
        for place, name in mails.items():
            path = queue / place / name
            path.write_text(f"mail of {name}")
            path.chmod(0o700)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        (queue / "defer/A0000FFFFF1").write_text("why it was deferred")
        os.chown(queue / "defer/A0000FFFFF1", owner.pw_uid, owner.pw_gid)
        command.run(["postsuper", "-c", str(etc)])
        found = [path for path in queue.rglob("*") if path.is_file() and path.read_text().startswith("mail of")]
        assert sorted(path.read_text() for path in found) == sorted(f"mail of {name}" for name in mails.values())
        assert {path.name for path in found}.isdisjoint(mails.values())
        # its name has the inode in it, as Postfix wants it
        assert all(f"{path.stat().st_ino:X}" in path.name for path in found)
        deferred = next(path.name for path in found if path.read_text() == "mail of A0000FFFFF1")
        assert [path.read_text() for path in (queue / "defer").rglob(deferred)] == ["why it was deferred"]


def test_the_queue_is_carried_where_a_site_wants_it_and_what_is_not_in_it_yet_stays() -> None:
    base = shipped()["base"]
    for rules, queued in (((), Action.EXCLUDE), (queue_rules(), Action.INCLUDE)):
        selection = resolve([base], [], rules, lambda pattern: [pattern])
        assert {selection.decide(f"var/spool/postfix/{name}/X").action for name in ("active", "deferred")} == {queued}
        assert selection.decide("var/spool/postfix/maildrop/X").action in (Action.EXCLUDE, Action.PROTECT)
    assert resolve([base], [], queue_rules(), lambda pattern: [pattern]).roots().count("var/spool/postfix") == 1
