"""The configuration backup: an archive of what makes this server what it is, its md5 files, and the package list.

For compatibility and for people: a promotion never unpacks it. It is equal, byte for byte, as long as what goes into it
is (sorted, times of the files, none of the clock), so it is rewritten only then; an archive that could not be written
whole never takes the place of the last one. Secrets stay out: see docs/decisions/0053.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.config import esmith
from hotsync.errors import CommandFailed, SourceError
from hotsync.model.facts import PackageFact
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice, Verdict
from hotsync.model.selection import Action, Rule, Selection
from hotsync.sources.archive import Changed, Member, md5_line, write_tar
from hotsync.sources.facts import read_packages
from hotsync.sources.lists import CONFIG_LISTS, read_lists
from hotsync.sources.plugins import expand
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import CHUNK, Candidate, collecting, digest_of, disk_error, open_plain
from hotsync.system.command import run
from hotsync.system.files import write_atomic
from hotsync.system.lock import held
from hotsync.system.paths import Paths

NAME: str = "backup-config"
IS_DATABASE: bool = False
ARCHIVE = "backup-config.tar.xz"
MD5 = f"{ARCHIVE}.md5"
CONTENT_MD5 = f"{ARCHIVE}-content.md5"
PACKAGES = "package-list"
_ATTEMPTS = 3
_SECONDS = 3600.0

INCLUDED = (
    "adjtime", "aliases", "anacrontab", "apache2", "apt", "at.allow", "at.deny", "backup-config.d", "backup-data.d",
    "cron.allow", "cron.d", "cron.daily", "cron.deny", "cron.hourly", "cron.monthly", "cron.weekly", "crontab",
    "default", "dovecot", "exports", "exports.d", "fail2ban", "fstab", "group", "hostname", "hosts", "hosts.allow",
    "hosts.deny", "hotsync", "hotsync.d", "idmapd.conf", "ifplugd", "iptables", "krb5.conf", "ldap", "letsencrypt",
    "locale.conf", "locale.gen", "localtime", "logrotate.conf", "logrotate.d", "machine-info", "mailname", "modprobe.d",
    "modules", "modules-load.d", "mysql", "netplan", "network", "networks", "NetworkManager", "nftables.conf",
    "nftables.d", "nginx", "nsswitch.conf", "openvpn", "pam.d", "passwd", "php", "postfix", "postgresql",
    "profile.d", "redis", "resolv.conf", "rsyslog.conf", "rsyslog.d", "samba", "security", "shells", "ssh", "ssl",
    "subgid", "subuid", "sudoers", "sudoers.d", "sysctl.conf", "sysctl.d", "systemd", "timezone", "tmpfiles.d",
    "udev/rules.d", "ufw",
)  # fmt: skip
"""What a Debian server is made of, below /etc."""

EXCLUDED = (
    "/etc/**/*.key", "/etc/**/*.p12", "/etc/**/*.pfx", "/etc/**/*.keytab", "/etc/**/private", "/etc/**/privkey*.pem",
    "/etc/letsencrypt/accounts", "/etc/letsencrypt/keys", "/etc/ssh/ssh_host_*_key", "/etc/mysql/debian.cnf",
    "/etc/NetworkManager/system-connections", "/etc/postfix/sasl*", "/etc/postfix/**/*passw*", "/etc/samba/*passw*",
    "/etc/dovecot/*passw*", "/etc/**/*secret*", "/etc/**/.htpasswd", "/etc/apt/auth.conf*", "/etc/ssl/certs",
    "/etc/**/*-", "/etc/hotsync/tls",
)  # fmt: skip
"""Secrets, and what packages make anew (the bundle of certificates, the old copies of passwd and group)."""


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return the one dataset of this source."""
    del context
    return (Dataset(NAME),)


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given the host, bring the archive and what belongs to it up to date; raise SourceError.

    On NethServer its own program does it: it knows what its packages dump before, and unpacks the archive itself.
    """
    theirs = context.paths.platform().backup_config
    if theirs is None:
        back_up(context)
    else:
        _ask_nethserver(context.paths, str(context.paths.at(theirs)))
    return [DatasetPoint(dataset.name, context.clock.now())]


def _ask_nethserver(paths: Paths, program: str) -> None:
    """Let NethServer write its archive; it ends with 0, having done nothing, where its backup is switched off."""
    try:
        said = run([program], ok=(0, 1), timeout=_SECONDS)
    except CommandFailed as error:
        raise SourceError(dataset=NAME, reason=error.sentence) from error
    if said.returncode:
        failed = [line.strip() for line in said.text.splitlines() if "FAIL" in line]
        raise SourceError(dataset=NAME, reason=f"{program}: {'; '.join(failed) or 'it failed and did not say why'}")
    missing = [name for name in (ARCHIVE, MD5, CONTENT_MD5) if not (paths.backup / name).is_file()]
    if missing:
        hint = "If it is to be carried: config setprop backup-config status enabled"
        raise SourceError(dataset=NAME, reason=f"{program} left no {', '.join(missing)}", hint=hint)


def restore(folder: Path, dataset: Dataset) -> str:
    """Do nothing: the archive is for people and for other programs."""
    del folder, dataset
    return ""


def verify(folder: Path) -> list[Check]:
    """Given the folder of a configuration backup, return whether the archive is the one that its md5 speaks of."""
    title = "the configuration backup is whole"
    try:
        with open_plain(folder / MD5) as file:
            expected = file.read(4096).partition(b" ")[0].decode("ascii", "replace").lstrip("\\")
        with open_plain(folder / ARCHIVE) as file:
            found = hashlib.md5(usedforsecurity=False)
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        return [Check("backup-config", title, Verdict.RED, str(error), "Run `backup-config` on the MASTER.")]
    if found.hexdigest() != expected:
        return [Check("backup-config", title, Verdict.RED, "its md5 differs", "Run `backup-config -f` on the MASTER.")]
    return [Check("backup-config", title, Verdict.GREEN)]


def back_up(context: Context, *, force: bool = False) -> bool:
    """Given the host, write the archive, its md5 files and the package list where something changed; return whether.

    With `force` the archive is made anew in any case. Raise SourceError; the last archive then stays.
    """
    with held(context.paths.run / "backup-config.lock", NAME, wait=True):
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _back_up(context, force)
            except Changed as change:
                if attempt == _ATTEMPTS:
                    raise SourceError(dataset=NAME, reason=f"{change} changes all the time") from change
            except OSError as error:
                raise disk_error(context.paths, NAME, error) from error
            except (CommandFailed, lzma.LZMAError, tarfile.TarError, ValueError) as error:
                raise SourceError(dataset=NAME, reason=str(error)) from error
    raise AssertionError("unreachable")


def _back_up(context: Context, force: bool) -> bool:
    paths = context.paths
    folder = None if paths.backup.is_relative_to(paths.spool) else paths.backup
    packages = render_packages(read_packages())
    found = {member.name: member for member in find_members(paths, context.notice)}
    # a database that a list names is in as it is: what the administrator names is the administrator's to decide
    members = list(({member.name: member for member in _databases(paths)} | found).values())
    newest = max((member.mtime for member in members), default=0)
    place = "/" + os.path.relpath(paths.backup, paths.root)
    members.append(Member(f"{place}/{PACKAGES}".strip("/"), paths.backup / PACKAGES, packages, newest))
    members.sort(key=lambda member: os.fsencode(member.name))
    with collecting(paths, NAME, folder) as collection:
        collection.put(PACKAGES, packages)
        hashed = hashlib.sha256()
        write_tar(members, hashed.update)
        if not force and _is_current(paths, hashed.hexdigest()):
            for name in (ARCHIVE, MD5, CONTENT_MD5):
                collection.keep(name)
            return collection.publish()
        written, contents = _write_archive(members, collection.candidate(ARCHIVE))
        collection.put(MD5, md5_line(written.md5, f"{place}/{ARCHIVE}"))
        collection.put(CONTENT_MD5, b"".join(md5_line(md5, f"/{name}") for name, md5 in contents))
        changed = collection.publish()
    _remember(paths, written)
    return changed


def rules_of(paths: Paths) -> tuple[list[Rule], list[Notice]]:
    """Given the host, return what the archive is made of: the defaults and the lists of /etc/backup-config.d.

    Includes with wildcards become what they name now. An explicit include beats a wider exclude, as in every selection.
    """
    listed, notices = read_lists(paths, (CONFIG_LISTS,))
    rules: list[Rule] = []
    for rule in listed:
        patterns = expand(rule.pattern, paths) if rule.action is Action.INCLUDE else [rule.pattern]
        rules += [Rule(pattern, rule.action, rule.origin) for pattern in patterns]
    named = {rule.pattern for rule in rules}  # what the administrator names is the administrator's to decide
    defaults = [Rule(f"/etc/{name}", Action.INCLUDE, "default") for name in INCLUDED]
    defaults += [Rule(pattern, Action.EXCLUDE, "default") for pattern in (*EXCLUDED, "/var/lib/hotsync")]
    return [*(rule for rule in defaults if rule.pattern not in named), *rules], list(notices)


def find_members(paths: Paths, notice: Callable[[Notice], None]) -> Iterator[Member]:
    """Given the host, return the files and links that its rules choose; folders are made of what they hold."""
    rules, notices = rules_of(paths)
    for each in notices:
        notice(each)
    selection = Selection(rules)
    for root in selection.roots():
        for name in _walk(paths.root, root, selection):
            path = paths.root / name
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                yield Member(name, path, mtime=int(status.st_mtime))


def _walk(top: Path, name: str, selection: Selection) -> Iterator[str]:
    """Return what is chosen at and below a path."""
    waiting = [name]
    while waiting:
        name = waiting.pop()
        chosen = selection.decide(name).action is Action.INCLUDE
        path = top / name
        if path.is_dir() and not path.is_symlink():
            if chosen or selection.wanted_below(name):
                children = sorted(os.listdir(path), key=os.fsencode, reverse=True)
                waiting += [f"{name}/{child}" for child in children]
        elif chosen:
            yield name


def _databases(paths: Paths) -> Iterator[Member]:
    """Return the e-smith databases with every password hidden."""
    if not paths.databases.is_dir():
        return
    for path in sorted(paths.databases.iterdir()):
        if path.is_file() and not path.is_symlink() and not _is_passing(path.name):
            document = esmith.parse_document(path.read_bytes())
            lines = [f"{key}={esmith.masked(key, value or '')}\n" for key, value in sorted(document.items())]
            name = os.path.relpath(path, paths.root)
            yield Member(name, path, esmith.to_bytes("".join(lines)), int(path.stat().st_mtime))


def _is_passing(name: str) -> bool:
    """Return whether a file beside the databases is one of those who write them."""
    return name.startswith(".") or name.endswith(".lock")


def render_packages(packages: Iterable[PackageFact]) -> bytes:
    """Given packages, return the list: name, version, architecture, apt's mark, and `hold` where it is set."""
    lines = (
        " ".join(
            (package.name, package.version, package.architecture, "manual" if package.manual else "auto")
            + (("hold",) if package.held else ())
        )
        for package in packages
    )
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class _Written:
    content: str
    archive: str
    md5: str


def _write_archive(members: Iterable[Member], candidate: Candidate) -> tuple[_Written, list[tuple[str, str]]]:
    """Write the archive; return its hashes, and the md5 of each file in it."""
    compressor = lzma.LZMACompressor()
    md5, content = hashlib.md5(usedforsecurity=False), hashlib.sha256()

    def compressed(data: bytes) -> None:
        md5.update(data)
        candidate.write(data)

    def write(data: bytes) -> None:
        content.update(data)
        compressed(compressor.compress(data))

    contents = write_tar(members, write)
    compressed(compressor.flush())
    return _Written(content.hexdigest(), candidate.digest.sha256, md5.hexdigest()), contents


def _is_current(paths: Paths, content: str) -> bool:
    """Return whether the archive that lies there was made of this content, and is still what was written."""
    try:
        last = TypeAdapter(_Written).validate_json(_record(paths).read_bytes())
        found = digest_of(paths.backup / ARCHIVE).sha256
    except (OSError, ValidationError):
        return False
    complete = all((paths.backup / name).is_file() for name in (MD5, CONTENT_MD5))
    return complete and last.content == content and last.archive == found


def _remember(paths: Paths, written: _Written) -> None:
    try:
        write_atomic(_record(paths), json.dumps(asdict(written)).encode(), mode=0o600)
    except OSError as error:
        raise disk_error(paths, NAME, error) from error


def _record(paths: Paths) -> Path:
    return paths.state / "backup-config.json"
