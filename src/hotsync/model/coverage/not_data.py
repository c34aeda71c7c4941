"""What lies outside of the selection on every server and is no data: one list, each with its reason.

As rules of the weakest voice these decide only where nothing else speaks: what the site, a profile or a mount says is
heard first.
"""

from __future__ import annotations

from hotsync.model.selection import Action, Rule, Selection, Voice


def _exim(root: str) -> tuple[tuple[str, str], ...]:
    """Given where a distribution has Exim's spool, return what lies in it."""
    queue, passing = "Exim's queue: carried with the setting MailQueue", "lives until the next boot"
    return (
        (f"{root}/input", queue),
        (f"{root}/msglog", queue),
        (f"{root}/db", "hints for deliveries, which Exim makes anew"),
        (f"{root}/*.pid", passing),
        (f"{root}/exim-process.info", passing),
        (f"{root}/exim_daemon_notify", passing),
        (f"{root}/gnutls-params*", "made anew by Exim"),
        (f"{root}/log", "logs: they tell of this machine"),
        (f"{root}/scan", "temporary by its name"),
    )


NOT_DATA: tuple[tuple[str, str], ...] = (
    ("/dev", "devices of this machine"),
    ("/proc", "the kernel's own"),
    ("/sys", "the kernel's own"),
    ("/run", "lives until the next boot"),
    ("/tmp", "temporary by its name"),  # noqa: S108
    ("/var/tmp", "temporary by its name"),  # noqa: S108
    ("/var/log", "logs: they tell of this machine"),
    ("/var/account", "logs: they tell of this machine"),
    ("/var/cache", "caches: their owners make them anew"),
    ("/var/crash", "crashes of this machine"),
    ("/var/lock", "lives until the next boot"),
    ("/var/run", "lives until the next boot"),
    ("/boot", "what this machine boots from"),
    ("/efi", "what this machine boots from"),
    ("/initrd.img*", "what this machine boots from"),
    ("/vmlinuz*", "what this machine boots from"),
    ("/media", "media that come and go"),
    ("/lost+found", "remains of this file system"),
    ("/swapfile", "memory of this machine"),
    ("/swap.img", "memory of this machine"),
    ("/snap", "read-only images of programs"),
    ("/.autorelabel", "a mark for the next boot"),
    ("/var/.updated", "a mark of the init system"),
    ("/etc/.updated", "a mark of the init system"),
    ("/usr/lib/.build-id", "indexes of installed programs"),
    ("/usr/lib/sysimage", "the state of this host's package manager"),
    ("/usr/lib/modules", "belongs to this machine's kernel"),
    ("/usr/lib/locale", "made by hotsync-slave on the SLAVE"),
    ("/usr/lib/hotsync", "HotSync itself"),
    ("/usr/lib/udev/hwdb.bin", "made anew from installed files"),
    ("/usr/lib/**/__pycache__", "made anew from installed programs"),
    ("/usr/lib/python*/dist-packages/**/*.pyc", "made anew from installed programs"),
    ("/usr/share/**/__pycache__", "made anew from installed programs"),
    ("/usr/lib/**/giomodule.cache", "made anew from installed files"),
    ("/usr/lib/**/gconv-modules.cache", "made anew from installed files"),
    ("/usr/lib/**/loaders.cache", "made anew from installed files"),
    ("/usr/lib/**/immodules.cache", "made anew from installed files"),
    ("/usr/share/**/icon-theme.cache", "made anew from installed files"),
    ("/usr/share/**/mimeinfo.cache", "made anew from installed files"),
    ("/usr/share/**/gschemas.compiled", "made anew from installed files"),
    ("/usr/share/**/.uuid", "made anew from installed files"),
    ("/usr/share/mime", "made anew from installed files"),
    ("/usr/lib/fontconfig/cache", "made anew from installed fonts"),
    ("/usr/share/fonts/**/fonts.*", "made anew from installed fonts"),
    ("/usr/share/fonts/**/encodings.dir", "made anew from installed fonts"),
    ("/usr/share/emacs/**/*.elc", "made anew from installed programs"),
    ("/usr/share/info/dir*", "made anew from installed files"),
    ("/usr/share/dovecot/protocols.d", "made anew by installed packages"),
    ("/usr/share/vim/**/tags", "made anew from installed files"),
    ("/var/backups/alternatives.*", "copies of the package manager's own state"),
    ("/var/backups/apt.*", "copies of the package manager's own state"),
    ("/var/backups/dpkg.*", "copies of the package manager's own state"),
    ("/var/backups/group.bak", "copies of files that are carried"),
    ("/var/backups/gshadow.bak", "copies of files that are carried"),
    ("/var/backups/passwd.bak", "copies of files that are carried"),
    ("/var/backups/shadow.bak", "copies of files that are carried"),
    ("/var/spool/anacron", "when jobs of this machine ran last"),
    ("/var/spool/postfix", "Postfix's queue: carried with the setting MailQueue"),
    *_exim("/var/spool/exim4"),
    *_exim("/var/spool/exim"),
    ("/var/spool/mqueue", "Sendmail's queue: carried with the setting MailQueue"),
    ("/var/spool/mqueue-client", "mail on its way to Sendmail"),
    ("/var/spool/clientmqueue", "mail on its way to Sendmail"),
    ("/var/spool/smtpd", "OpenSMTPD's queue: carried with the setting MailQueue"),
    ("/var/spool/nullmailer", "nullmailer's queue: carried with the setting MailQueue"),
    ("/var/spool/abrt", "crashes of this machine"),
    ("/var/spool/abrt-upload", "crashes of this machine"),
    ("/var/spool/rsyslog", "logs on their way"),
    ("/.hotsync-*", "where a promotion put things aside"),
)
"""Patterns as in a profile. What is not named here, and by no other rule, is told."""

_ORIGIN = "no data: "


def with_not_data(selection: Selection) -> Selection:
    """Given a selection, return it with the rules of this list."""
    rules = (Rule(pattern, Action.EXCLUDE, _ORIGIN + reason, Voice.MOUNT) for pattern, reason in NOT_DATA)
    return Selection((*selection.rules, *rules))


def reason_of(rule: Rule | None) -> str:
    """Given the rule that decided, return why it is no data, "" if it is not one of this list."""
    return rule.origin.removeprefix(_ORIGIN) if rule is not None and rule.origin.startswith(_ORIGIN) else ""
