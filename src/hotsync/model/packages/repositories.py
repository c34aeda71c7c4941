"""The MASTER's package repositories as values: read from its source files without trust, written in one form only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_URI = re.compile(r"^(?:(?:mirror\+)?(?:https?|ftp)://|file:/)[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+\Z")
_SUITE = re.compile(r"^[A-Za-z0-9._/+~-]+\Z")
_COMPONENT = re.compile(r"^[A-Za-z0-9._/+~-]+\Z")
_ARCHITECTURE = re.compile(r"^[a-z0-9-]+\Z")
_KEYRING_PLACE = r"/(?:etc/apt/(?:keyrings|trusted\.gpg\.d)|usr/share/keyrings)"
_KEYRING = re.compile(rf"^{_KEYRING_PLACE}/[A-Za-z0-9._+-]+\.(?:gpg|asc)\Z")
_UNSAFE = ("trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure")
LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """One place of packages. `keyring` is the absolute path of its keys on the MASTER ("": its general trust), or
    the keys themselves as armoured text."""

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    keyring: str = ""

    @property
    def identity(self) -> tuple[str, str, tuple[str, ...]]:
        """Return what makes two of them the same place."""
        return self.uri.rstrip("/"), self.suite, self.components

    @property
    def shown(self) -> str:
        """Return it in a person's words."""
        return f"{self.uri} {self.suite} {' '.join(self.components)}"

    @property
    def has_inline_key(self) -> bool:
        """Return whether the keys are in the source file itself."""
        return self.keyring.startswith("-----BEGIN")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something of a source file that is not taken over, and why."""

    what: str
    reason: str


def parse_list(text: str) -> tuple[list[Repository], list[Refusal]]:
    """Given a file in the one-line form (*.list), return its repositories, and what is refused of it."""
    found: list[Repository] = []
    refused: list[Refusal] = []
    for line in text.splitlines():
        match = re.match(r"^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+[^#\s]\S*)*)\s*(?:#.*)?$", line.strip())
        if not match:
            if line.strip().startswith("deb ") or line.strip().startswith("deb["):
                refused.append(Refusal(line.strip()[:200], "the line is not understood"))
            continue
        options = {key.lower(): value for key, _, value in (word.partition("=") for word in (match[1] or "").split())}
        options = {key.rstrip("+-"): value for key, value in options.items()}
        _add(match[2], [match[3]], match[4].split(), options, found, refused)
    return found, refused


def parse_deb822(text: str) -> tuple[list[Repository], list[Refusal]]:
    """Given a file in the form of stanzas (*.sources), return its repositories, and what is refused of it."""
    found: list[Repository] = []
    refused: list[Refusal] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = {"arch": ",".join(fields.get("architectures", "").split()), "signed-by": fields.get("signed-by", "")}
        options |= {name: fields[name] for name in _UNSAFE if name in fields}
        for uri in fields.get("uris", "").split():
            _add(uri, fields.get("suites", "").split(), fields.get("components", "").split(), options, found, refused)
    return found, refused


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + ("" if line.strip() == "." else line.strip())
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _add(
    uri: str,
    suites: list[str],
    components: list[str],
    options: dict[str, str],
    found: list[Repository],
    refused: list[Refusal],
) -> None:
    keyring = options.get("signed-by", "").strip()
    architectures = tuple(word for word in options.get("arch", "").split(",") if word)
    shown = f"{uri} {' '.join(suites)} {' '.join(components)}"[:200]
    if reason := _fault(uri, suites, components, options, keyring, architectures):
        refused.append(Refusal(shown, reason))
        return
    found += [Repository(uri, suite, tuple(components), architectures, keyring) for suite in suites]


def _fault(
    uri: str,
    suites: list[str],
    components: list[str],
    options: dict[str, str],
    keyring: str,
    architectures: tuple[str, ...],
) -> str:
    if any(options.get(name, "no").lower() not in ("no", "false", "0", "") for name in _UNSAFE):
        return "it switches the check of signatures off"
    if not _URI.match(uri):
        return "its address is none that can be reached from here"
    if not suites or not all(_SUITE.match(suite) for suite in suites):
        return "its suite is not understood"
    if not all(_COMPONENT.match(component) for component in components):
        return "a component is not understood"
    if not all(_ARCHITECTURE.match(word) for word in architectures):
        return "an architecture is not understood"
    if keyring and not keyring.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----") and not _KEYRING.match(keyring):
        return "its keys lie where they are not carried from (carried: /etc/apt/keyrings)"
    return ""


def new_here(offered: Iterable[Repository], own: Iterable[Repository]) -> tuple[Repository, ...]:
    """Given the MASTER's repositories and ours, return those that this host does not have, each once."""
    known = {repository.identity for repository in own}
    fresh: dict[object, Repository] = {}
    for repository in offered:
        if repository.identity not in known:
            fresh.setdefault(repository.identity, repository)
    return tuple(fresh.values())


def render_list(repositories: Iterable[tuple[Repository, tuple[str, ...]]]) -> str:
    """Given repositories, each with the keyrings of this host that it is trusted by, return a file in one-line form."""
    lines = ["# Written by hotsync-slave --accept-repositories: repositories of the MASTER, accepted with their keys."]
    lines += list(_lines(repositories))
    return "".join(f"{line}\n" for line in lines)


def _lines(repositories: Iterable[tuple[Repository, tuple[str, ...]]]) -> Iterator[str]:
    for repository, keyrings in repositories:
        options = [f"arch={','.join(repository.architectures)}"] if repository.architectures else []
        options += [f"signed-by={','.join(keyrings)}"] if keyrings else []
        words = ["deb", *([f"[{' '.join(options)}]"] if options else []), repository.uri, repository.suite]
        yield " ".join([*words, *repository.components])
