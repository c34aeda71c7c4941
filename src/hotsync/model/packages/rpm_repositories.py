"""The MASTER's repositories of Red Hat's family as values: read from its *.repo files without trust, written in one
form only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from hotsync.model.packages.repositories import Refusal

VARIABLES = frozenset(("releasever", "releasever_major", "releasever_minor", "basearch", "arch"))
"""What dnf knows by itself; each server has its own."""
_ID = re.compile(r"^[A-Za-z0-9_.:-]{1,100}\Z")
_URL = re.compile(r"^(?:(?:https?|ftp)://|file:///)[A-Za-z0-9._~:/?#@!$&'()*+,;=%{}-]{1,500}\Z")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")
_KEY = re.compile(r"^file:///etc/pki/rpm-gpg/([A-Za-z0-9._+-]{1,100})\Z")
_PATTERN = re.compile(r"^[A-Za-z0-9._+*?\[\]:-]{1,100}\Z")
_NUMBER = re.compile(r"^[0-9]{1,5}\Z")
_NO = ("0", "no", "false", "off")
_PLACES = ("baseurl", "mirrorlist", "metalink")
_NUMBERS = ("priority", "cost")
_LISTS = ("includepkgs", "excludepkgs")
_SECRETS = ("username", "password", "sslclientcert", "sslclientkey")


@dataclass(frozen=True, slots=True, order=True)
class RpmRepository:
    """One place of packages; `keys` are the names of its key files in /etc/pki/rpm-gpg of the MASTER, `settings` what
    else holds for it (numbers, lists of packages, switches), in a fixed order."""

    name: str
    places: tuple[tuple[str, str], ...]
    keys: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Return what makes two of them the same place."""
        return tuple((kind, url.rstrip("/")) for kind, url in self.places)

    @property
    def shown(self) -> str:
        """Return it in a person's words."""
        more = [f"{name}={value}" for name, value in self.settings]
        return " ".join([f"{self.name}:", *(url for _, url in self.places), *more])


def parse_repo(text: str, known: Collection[str] = VARIABLES) -> tuple[list[RpmRepository], list[Refusal]]:
    """Given a *.repo file and the variables that this host knows, return its repositories, and what is refused of it.

    One that is switched off is neither.
    """
    found: list[RpmRepository] = []
    refused: list[Refusal] = []
    for name, fields in _sections(text):
        if name == "main" or fields.get("enabled", "1").lower() in _NO:
            continue
        if reason := _fault(name, fields, known):
            refused.append(Refusal(f"{name} {_first_place(fields)}"[:200], reason))
            continue
        places = tuple((kind, url) for kind in _PLACES for url in _words(fields.get(kind, "")))
        keys = tuple(match[1] for url in _words(fields.get("gpgkey", "")) if (match := _KEY.match(url)))
        found.append(RpmRepository(name, places, keys, tuple(_settings(fields))))
    return found, refused


def _sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return name and fields of each section; a line that is indented goes on with the value before it."""
    name, key = "", ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line.startswith("["):
            if name:
                yield name, fields
            name, key, fields = line.strip().strip("[]"), "", {}
        elif line[0] in " \t" and key:
            fields[key] += f" {line.strip()}"
        elif "=" in line:
            key, _, value = line.partition("=")
            key = _OLD_NAMES.get(key.strip().lower(), key.strip().lower())
            fields[key] = value.strip()
    if name:
        yield name, fields


_OLD_NAMES = {"exclude": "excludepkgs"}


def _words(value: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", value) if word]


def _first_place(fields: dict[str, str]) -> str:
    return next((url for kind in _PLACES for url in _words(fields.get(kind, ""))), "")


def _fault(name: str, fields: dict[str, str], known: Collection[str]) -> str:
    urls = [url for kind in _PLACES for url in _words(fields.get(kind, ""))]
    if not _ID.match(name):
        return "its name is not understood"
    if fields.get("gpgcheck", "1").lower() in _NO or fields.get("sslverify", "1").lower() in _NO:
        return "it switches the check of signatures or certificates off"
    if any(fields.get(secret) for secret in _SECRETS):
        return "it needs a password or a certificate of the MASTER's"
    if not urls or not all(_URL.match(url) for url in urls):
        return "its address is none that can be reached from here"
    strange = {first or second for url in urls for first, second in _VARIABLE.findall(url)} - set(known)
    if strange:
        return f"its address has {', '.join(f'${each}' for each in sorted(strange))}, which this server does not know"
    if not all(_KEY.match(url) for url in _words(fields.get("gpgkey", ""))):
        return "its keys are not carried: lay them into /etc/pki/rpm-gpg on the MASTER, and name them so in gpgkey"
    if not all(_NUMBER.match(fields.get(each, "1")) for each in _NUMBERS):
        return "its priority or cost is not understood"
    if not all(_PATTERN.match(word) for each in _LISTS for word in _words(fields.get(each, ""))):
        return "the packages that it is limited to are not understood"
    return ""


def _settings(fields: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in _NUMBERS:
        if name in fields:
            yield name, fields[name]
    for name in _LISTS:
        if words := _words(fields.get(name, "")):
            yield name, " ".join(words)
    for name in ("repo_gpgcheck", "module_hotfixes"):
        if fields.get(name, "0").lower() in ("1", "yes", "true", "on"):
            yield name, "1"


def new_repositories(offered: Iterable[RpmRepository], own: Iterable[RpmRepository]) -> tuple[RpmRepository, ...]:
    """Given the MASTER's repositories and ours, return those that this host does not have, each once and each with a
    name of its own."""
    known = {repository.identity for repository in own}
    fresh: dict[object, RpmRepository] = {}
    names: set[str] = set()
    for repository in offered:
        if repository.identity in known or repository.identity in fresh:
            continue
        name = repository.name if repository.name not in names else f"{repository.name}-{len(names)}"
        names.add(name)
        fresh[repository.identity] = replace(repository, name=name)
    return tuple(fresh.values())


def render_repo(repositories: Iterable[tuple[RpmRepository, tuple[str, ...]]]) -> str:
    """Given repositories, each with the key files of this host that it is trusted by, return a *.repo file.

    Signatures are always checked; the names are our own, so that none of this host's is changed.
    """
    lines = ["# Written by hotsync-slave --accept-repositories: repositories of the MASTER, accepted with their keys."]
    for repository, keys in repositories:
        lines += [
            "",
            f"[hotsync-{repository.name}]",
            f"name={repository.name} of the MASTER",
            "enabled=1",
            "gpgcheck=1",
        ]
        for kind in _PLACES:
            if urls := [url for place, url in repository.places if place == kind]:
                lines.append(f"{kind}={' '.join(urls)}")
        if keys:
            lines.append(f"gpgkey={' '.join(f'file://{key}' for key in keys)}")
        # by the name that yum 3 knows, too
        lines += [f"{'exclude' if name == 'excludepkgs' else name}={value}" for name, value in repository.settings]
    return "".join(f"{line}\n" for line in lines)
