"""The site's plugins: executables in /etc/hotsync.d, called as the original did, with an include and an exclude file.

A plugin may append to both and edit both: each gets what the plugins before it left. It runs as root, so it must be
root's own and nobody else's to write. Of a plugin that fails or hangs, what it did to the lists in its last good run
holds; the others go on. One that is not there any more, or not executable, is forgotten.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.model.report import Notice
from hotsync.model.selection import Action, Rule
from hotsync.sources.lists import by_list, fault_of, normal, read_lists, read_text
from hotsync.state.site import Effect, SiteMemory, load_site, save_site
from hotsync.system.command import run
from hotsync.system.paths import Paths

TIMEOUT_SECONDS = 900.0
_SKIPPED = "plugins.skipped"
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

    Without `plugins` (a dry run) none is run: what each did last stands in for it. `begin` is called with each plugin's
    path. Nothing here raises: what is wrong with a list or a plugin is a notice. A plugin may also take lines of the
    lists away, or change them.
    """
    memory = load_site(paths)
    listed, wrong = read_lists(paths, last=memory.lists)
    notices = list(wrong)
    asked = _Asked(memory, {(rule.action, rule.pattern): rule.origin for rule in listed}, notices)
    # its own folder below /run would need to be there; this one is root's, 0700, and goes in any case
    with tempfile.TemporaryDirectory(prefix="hotsync-plugins-") as folder:
        for plugin in find_plugins(paths.plugins, notices):
            if not plugins:
                asked.recall(str(plugin))
                continue
            if begin is not None:
                begin(str(plugin))
            asked.run(plugin, Path(folder), timeout)
    for notice in [notice for notice in notices if notice.code == _SKIPPED]:
        asked.recall(notice.path)
    if plugins:
        _remember(paths, SiteMemory(by_list(listed), asked.effects), notices)
    return SiteRules(tuple(_all_rules(listed, asked.lines, paths, notices)), tuple(notices))


def _remember(paths: Paths, memory: SiteMemory, notices: list[Notice]) -> None:
    try:
        save_site(paths, memory)
    except OSError as error:
        notices.append(Notice("site.memory", f"{paths.site_memory} cannot be written: {error.strerror}"))


def _all_rules(listed: Iterable[Rule], lines: _Lines, paths: Paths, notices: list[Notice]) -> Iterator[Rule]:
    """Return the rules that the lines are: as they were read from a list, or as a plugin wrote them."""
    known = {(rule.action, rule.pattern, rule.origin) for rule in listed}
    for (action, line), origin in lines.items():
        if (action, line, origin) in known:
            yield Rule(line, action, origin)
        else:
            yield from _rules_of(line, action, origin, paths, notices)


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
            notices.append(Notice(_SKIPPED, f"plugin {path} is skipped: {fault}", str(path)))
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


@dataclass(slots=True)
class _Asked:
    """The lines of both lists while one plugin after the other has a look at them."""

    memory: SiteMemory
    lines: _Lines
    notices: list[Notice]
    effects: dict[str, Effect] = field(default_factory=dict[str, Effect])

    def run(self, plugin: Path, folder: Path, timeout: float) -> None:
        """Run a plugin; if it fails, what it did last holds."""
        name = str(plugin)
        after, reason = _run_one(plugin, folder, self.lines, timeout)
        if after is not None:
            added = tuple(line for line in after if line not in self.lines)
            removed = tuple(line for line in self.lines if line not in after)
            self.effects[name], self.lines = Effect(added, removed), after
            return
        held = "what it did before holds" if name in self.memory.plugins else "what it did to the lists is dropped"
        self.notices.append(Notice("plugins.failed", f"plugin {plugin} failed ({reason}); {held}", name))
        self.recall(name)

    def recall(self, name: str) -> None:
        """Do what a plugin did in its last good run."""
        effect = self.memory.plugins.get(name)
        if effect is not None:
            self.effects[name] = effect
            kept = {line: origin for line, origin in self.lines.items() if line not in effect.removed}
            self.lines = {**dict.fromkeys(effect.added, name), **kept}


def _run_one(plugin: Path, folder: Path, before: _Lines, timeout: float) -> tuple[_Lines | None, str]:
    """Run a plugin on copies of the lists; return them as it left them, or None and why it failed."""
    place = Path(tempfile.mkdtemp(dir=folder))
    files = {Action.INCLUDE: place / "include", Action.EXCLUDE: place / "exclude"}
    try:
        for action, path in files.items():
            text = "".join(line + "\n" for known, line in before if known is action)
            with path.open("wb") as file:
                file.write(os.fsencode(text))
        run(
            [str(plugin), str(files[Action.INCLUDE]), str(files[Action.EXCLUDE])], timeout=timeout, cwd="/", unread=True
        )
        lines: _Lines = {}
        for action, path in files.items():
            for line in _lines(path):
                lines[action, line] = before.get((action, line), str(plugin))
        return lines, ""
    except CommandFailed as error:
        reason = f"{error.facts['status']}: {error.facts['detail']}"
    except OSError as error:
        reason = str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return None, reason


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
