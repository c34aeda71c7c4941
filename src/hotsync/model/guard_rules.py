"""Rules that somebody made in a host's SELinux policy, as libsemanage keeps them: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hotsync.model.facts import GuardRuleFact

_CONTEXT = re.compile(r"^(\S+)\s+(?:(-[-bcdlps])\s+)?(\S+)\Z")
_LABELLED = re.compile(r"^(?:portcon|netifcon|nodecon)\s+(.+?)\s+([^\s:]+:[^\s:]+:\S+)\Z")


def parse_contexts(text: str) -> Iterator[GuardRuleFact]:
    """Given file_contexts.local, return which label belongs where."""
    for line in _lines(text):
        if found := _CONTEXT.match(line):
            kind = f" ({found[2]})" if found[2] else ""
            yield GuardRuleFact("fcontext", f"{found[1]}{kind}", found[3])


def parse_equals(text: str) -> Iterator[GuardRuleFact]:
    """Given file_contexts.subs, return which folder is labelled like which other one."""
    for line in _lines(text):
        if len(words := line.split()) == 2:
            yield GuardRuleFact("equal", words[0], words[1])


def parse_booleans(text: str) -> Iterator[GuardRuleFact]:
    """Given booleans.local, return the switches that were set."""
    for line in _lines(text):
        name, sign, value = line.partition("=")
        if sign:
            yield GuardRuleFact("boolean", name.strip(), "on" if value.strip() in ("1", "true") else "off")


def parse_labelled(kind: str) -> Callable[[str], Iterator[GuardRuleFact]]:
    """Given a kind (port, interface, node), return what reads its file: `portcon tcp 8081 user:role:type:level`."""

    def parse(text: str) -> Iterator[GuardRuleFact]:
        for line in _lines(text):
            if found := _LABELLED.match(line):
                yield GuardRuleFact(kind, " ".join(found[1].split()), found[2])

    return parse


def parse_logins(text: str) -> Iterator[GuardRuleFact]:
    """Given seusers.local, return which account is which user of the policy."""
    for line in _lines(text):
        name, colon, user = line.partition(":")
        if colon:
            yield GuardRuleFact("login", name, user)


def parse_users(text: str) -> Iterator[GuardRuleFact]:
    """Given users.local, return the users of the policy that were made or changed."""
    for line in _lines(text):
        if len(words := line.rstrip(";").split(maxsplit=2)) == 3 and words[0] == "user":
            yield GuardRuleFact("user", words[1], " ".join(words[2].split()))


FILES: tuple[tuple[str, Callable[[str], Iterator[GuardRuleFact]]], ...] = (
    ("file_contexts.local", parse_contexts),
    ("ports.local", parse_labelled("port")),
    ("booleans.local", parse_booleans),
    ("seusers.local", parse_logins),
    ("users.local", parse_users),
    ("interfaces.local", parse_labelled("interface")),
    ("nodes.local", parse_labelled("node")),
)
"""The files of a policy's store in which rules lie that did not come with it."""


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield stripped
