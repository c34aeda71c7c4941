"""The site's plugins: executables in /etc/hotsync.d, called as the original did, with an include and an exclude file.

A plugin may append to both and edit both: each gets what the plugins before it left. It runs as root, so it must be
root's own and nobody else's to write. What a plugin that fails or hangs did to the lists is dropped; the others go on.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.model.report import Notice
from hotsync.model.selection import Action, Rule
from hotsync.sources.lists import fault_of, normal, read_lists, read_text
from hotsync.system.command import run
from hotsync.system.paths import Paths

TIMEOUT_SECONDS = 900.0
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SiteRules:
    """What the site says besides the profiles: the rules of its lists and plugins, and what was wrong with them."""

    rules: tuple[Rule, ...] = ()
    notices: tuple[Notice, ...] = ()


def site_rules(
    paths: Paths,
    *,
    plugins: bool = True,
    timeout: float = TIMEOUT_SECONDS,
    begin: Callable[[str], None] | None = None,
) -> SiteRules:
    """Given the host, return the rules of its lists after every plugin, in name order, has had a look at them.

    Without `plugins` (a dry run) none is run. `begin` is called with each plugin's path. Nothing here raises: what is
    wrong with a list or a plugin is a notice. A plugin may also take lines of the lists away, or change them.
    """
    listed, wrong = read_lists(paths)
    notices = list(wrong)
    lines = {(rule.action, rule.pattern): rule.origin for rule in listed}
    if plugins:
        # its own folder below /run would need to be there; this one is root's, 0700, and goes in any case
        with tempfile.TemporaryDirectory(prefix="hotsync-plugins-") as folder:
            for plugin in find_plugins(paths.plugins, notices):
                if begin is not None:
                    begin(str(plugin))
                lines = _run_one(plugin, Path(folder), lines, timeout, notices)
    known = {(rule.action, rule.pattern, rule.origin) for rule in listed}
    rules: list[Rule] = []
    for (action, line), origin in lines.items():
        if (action, line, origin) in known:
            rules.append(Rule(line, action, origin))
        else:
            rules += _rules_of(line, action, origin, paths, notices)
    return SiteRules(tuple(rules), tuple(notices))


def find_plugins(folder: Path, notices: list[Notice]) -> Iterator[Path]:
    """Given the folder, return the plugins in name order; one that is not safe to run as root is named and skipped."""
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in found:
        try:
            fault = _fault_of_file(path.lstat())
        except OSError as error:
            fault = str(error.strerror)
        if fault:
            notices.append(Notice("plugins.skipped", f"plugin {path} is skipped: {fault}", str(path)))
        elif path.lstat().st_mode & 0o111:
            yield path


def _fault_of_file(status: os.stat_result) -> str:
    """Return why a file must not be run, or "" (also for one that is not executable: it is no plugin)."""
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "it is no plain file"
    if status.st_mode & 0o111 and status.st_uid != 0:
        return "it does not belong to root"
    if status.st_mode & 0o111 and status.st_mode & 0o022:
        return "others than root may write it"
    return ""


_Lines = dict[tuple[Action, str], str]
"""The lines of both lists in their order, each with where it came from."""


def _run_one(plugin: Path, folder: Path, before: _Lines, timeout: float, notices: list[Notice]) -> _Lines:
    """Run a plugin on copies of the lists; return them as it left them, or `before` if it failed."""
    place = Path(tempfile.mkdtemp(dir=folder))
    files = {Action.INCLUDE: place / "include", Action.EXCLUDE: place / "exclude"}
    try:
        for action, path in files.items():
            text = "".join(line + "\n" for known, line in before if known is action)
            with path.open("wb") as file:
                file.write(os.fsencode(text))
        run([str(plugin), str(files[Action.INCLUDE]), str(files[Action.EXCLUDE])], timeout=timeout, cwd="/")
        lines: _Lines = {}
        for action, path in files.items():
            for line in _lines(path):
                lines[action, line] = before.get((action, line), str(plugin))
        return lines
    except CommandFailed as error:
        reason = f"{error.facts['status']}: {error.facts['detail']}"
    except OSError as error:
        reason = str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    sentence = f"plugin {plugin} failed ({reason}); what it did to the lists is dropped"
    notices.append(Notice("plugins.failed", sentence, str(plugin)))
    return before


def _lines(path: Path) -> list[str]:
    """Return a list's lines, blank ones skipped; raise OSError if a plugin put something else in its place."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(f"it made {path.name} something else than a file")
    return [line.rstrip(" \t\r") for line in read_text(path).split("\n") if line.strip()]


def _rules_of(line: str, action: Action, plugin: str, paths: Paths, notices: list[Notice]) -> Iterator[Rule]:
    """Return the rules that a plugin's line is; an include with wildcards becomes what it names now."""
    if fault := fault_of(line):
        notices.append(Notice("plugins.line", f"plugin {plugin}: {line[:200]!r} {fault}; the line is left out", plugin))
        return
    for pattern in expand(line, paths) if action is Action.INCLUDE else [normal(line)]:
        yield Rule(pattern, action, plugin)


def expand(line: str, paths: Paths) -> list[str]:
    """Given an include line, return the paths that it names now, as a shell would expand it (without one).

    A line without wildcards names itself, whether it exists or not. Paths in which a wildcard's sign stands for itself
    are quoted, since rules would read it as a pattern.
    """
    if not _WILDCARDS & set(line) or os.path.lexists(paths.at(line)):
        return [_quote(normal(line))] if os.path.lexists(paths.at(line)) else [normal(line)]
    root = str(paths.root).rstrip("/")
    found = sorted(glob.glob(glob.escape(root) + normal(line)))
    return [_quote(path[len(root) :]) for path in found]


def _quote(path: str) -> str:
    return "".join(f"[{sign}]" if sign in _WILDCARDS else sign for sign in path)
