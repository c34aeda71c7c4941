"""Labels of SELinux: given anew by this machine's own policy to what a promotion moved into place."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.model.facts import GuardFacts, GuardRuleFact
from hotsync.model.guard_rules import FILES, parse_equals
from hotsync.system import command
from hotsync.system.paths import Paths

_SECONDS = 24 * 3600.0
_LOCAL = 400  # those of packages have 100 or 200
_HINT = "`restorecon -RF /` does it"


def is_enabled(paths: Paths) -> bool:
    """Return whether the kernel of this host asks a policy."""
    return paths.at("/sys/fs/selinux/enforce").exists()


def policy(paths: Paths) -> str:
    """Return the name of this host's policy."""
    with suppress(OSError):
        text = paths.at("/etc/selinux/config").read_text("utf-8", "replace")
        if found := re.search(r"^\s*SELINUXTYPE\s*=\s*([A-Za-z0-9_-]+)\s*$", text, re.MULTILINE):
            return found[1]
    return "targeted"


def specification(paths: Paths) -> Path:
    """Return the file of this host's policy that says which label belongs where."""
    return paths.at(f"/etc/selinux/{policy(paths)}/contexts/files/file_contexts")


def read_guard(paths: Paths) -> GuardFacts:
    """Return this host's policy, and the rules that somebody made in it (semanage, setsebool, semodule), sorted.

    They are read from the policy's store: semanage would need a second, and its own interpreter.
    """
    if not is_enabled(paths):
        return GuardFacts()
    name = policy(paths)
    rules: set[GuardRuleFact] = set()
    for store in (paths.at(f"/var/lib/selinux/{name}/active"), paths.at(f"/etc/selinux/{name}/active")):
        for file, parse in FILES:
            rules.update(parse(_text(store / file)))
        rules.update(_modules(store))
    rules.update(parse_equals(_text(Path(f"{specification(paths)}.subs"))))
    return GuardFacts(name, tuple(sorted(rules, key=lambda rule: (rule.kind, rule.name, rule.value))))


def _modules(store: Path) -> Iterator[GuardRuleFact]:
    """Return the modules that came with no package, by the priority that semodule gives them, and what was disabled."""
    for folder in sorted(store.glob(f"modules/{_LOCAL}/*")):
        content = next((file for file in (folder / "hll", folder / "cil") if file.is_file()), None)
        if content is not None:
            digest = hashlib.sha256(content.read_bytes()).hexdigest()
            yield GuardRuleFact("module", folder.name, f"SHA-256 {digest[:16]}")
    for file in sorted(store.glob("modules/disabled/*")):
        yield GuardRuleFact("module", file.name, "disabled")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def label(paths: Paths, places: Sequence[str], root: Path) -> str:
    """Given absolute paths as they lie below a root, label them and all below them as if that were `/`.

    Return why that failed, "" if it did not. What is not there is passed by.
    """
    if not places:
        return ""
    where = ["-r", os.fspath(root)] if root != Path("/") else []
    names = b"".join(os.fsencode(place) + b"\0" for place in places)
    argv = ["setfiles", "-F", "-i", "-q", *where, "-0", "-f", "-", os.fspath(specification(paths))]
    try:
        command.run(argv, input=names, timeout=_SECONDS)
    except CommandFailed as error:
        return f"{error.sentence.rstrip('.')}; {_HINT}."
    return ""
