"""The locales of this host: what is there, and how one is made from the definitions that a package brings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from hotsync.errors import CommandFailed
from hotsync.model.locale_names import parse_locale_gen, supported
from hotsync.system import command
from hotsync.system.paths import Paths

SUPPORTED = "/usr/share/i18n/SUPPORTED"


def installed() -> frozenset[str]:
    """Return the locales that programs of this host can use, as `locale -a` names them."""
    return frozenset(command.run(["locale", "-a"], ok=range(256)).text.split())


def make(paths: Paths, names: Iterable[str]) -> dict[str, str]:
    """Given names of locales, make each; return those that could not be made, with the reason."""
    try:
        known = parse_locale_gen(paths.at(SUPPORTED).read_text(encoding="utf-8"))
    except OSError:
        return dict.fromkeys(names, f"{SUPPORTED} is not here: no package brought what locales are made of")
    failed: dict[str, str] = {}
    for name in names:
        found = supported(name, known)
        if found is None:
            failed[name] = f"{SUPPORTED} does not have it"
            continue
        try:
            command.run(_argv(paths, *found), timeout=600)
        except CommandFailed as error:
            failed[name] = str(error.facts["detail"])
    return failed


def _argv(paths: Paths, name: str, charset: str) -> list[str]:
    away = [] if os.fspath(paths.root) == "/" else [f"--prefix={paths.root}"]
    # as Debian's locale-gen calls it: the definition's name is the locale's without its charset
    definition = re.sub(r"\.[^@]*", "", name)
    return ["localedef", *away, "-i", definition, "-c", "-f", charset, "-A", "/usr/share/locale/locale.alias", name]
