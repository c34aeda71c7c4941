"""Locales by name: which of the MASTER's are lacking, and what they are made of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

# always there, in every C library
_BUILT_IN = frozenset(("", "C", "POSIX", "C.utf8"))


def normal(name: str) -> str:
    """Given a locale's name (it_IT.UTF-8), return it as `locale -a` prints it (it_IT.utf8)."""
    language, dot, rest = name.partition(".")
    charset, at, modifier = rest.partition("@")
    return f"{language}{dot}{re.sub('[^a-z0-9]', '', charset.lower())}{at}{modifier}"


def parse_locale_gen(text: str) -> dict[str, str]:
    """Given a list as /etc/locale.gen or /usr/share/i18n/SUPPORTED, return charsets by name; remarks do not count."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}


def lacking(wanted: Iterable[str], present: Collection[str]) -> tuple[str, ...]:
    """Given locales that are wanted, and those that `locale -a` lists, return the names of those lacking, sorted."""
    here = {normal(name) for name in present} | _BUILT_IN
    return tuple(sorted({name for name in wanted if normal(name) not in here}))


def supported(name: str, known: dict[str, str]) -> tuple[str, str] | None:
    """Given a name and the locales that can be made with their charsets, return the one that it means, None if none."""
    return next(((each, charset) for each, charset in known.items() if normal(each) == normal(name)), None)
