"""The documents for people are true: every command, option, setting, code and link that they name is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from docs.generators.errors import tree
from hotsync.cli.database import NOW, streaming_asked
from hotsync.cli.database_verbs import VERBS
from hotsync.config.defaults import RECORDS
from hotsync.config.schema import PROPS
from hotsync.errors import ExitCode
from hotsync.flows.events import known_events
from hotsync.profiles.catalog import shipped
from hotsync.report import letters
from hotsync.system.paths import Paths
from tests.docs import manual
from tests.docs.manual import FOR_ADMINISTRATORS, PAGES, ROOT, Shown, anchors, commands_in, links, planned, promised

MANUAL = ROOT / "docs/manual.md"
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PLACES = {"plan.ods", "state.json"}  # names of files in examples, which look like props or codes


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fault_of_click(command: click.Command, words: tuple[str, ...]) -> str:
    """Return why a command would not take these words, or ""."""
    context = click.Context(command, info_name=command.name, resilient_parsing=True)
    options = {
        name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for number, word in enumerate(words):
        if word.startswith("-"):
            if word.partition("=")[0] not in options:
                return f"there is no option {word}"
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return f"there is no command {word}"
            return fault_of_click(command.commands[word], words[number + 1 :])
    return ""


def fault_of(shown: Shown) -> str:
    """Return why a command that a page shows would not work, or ""."""
    name, *words = shown.words
    if name not in SCRIPTS:
        return f"there is no {name}"
    if name in ("config", "db"):
        verb, *rest = words[name == "db" :] or ["show"]
        if verb not in VERBS:
            return f"there is no verb {verb}"
        if rest[-1:] == [NOW] and streaming_asked(verb, rest):
            rest.pop()
        return "" if name == "db" or not rest else fault_of_setting(rest)
    if name == "signal-event":
        event = next((word for word in words if not word.startswith("-")), "")
        return "" if not event or event in known_events(Paths(Path("/nowhere"))) else f"there is no event {event}"
    module, _, attribute = SCRIPTS[name].partition(":")
    command: Any = getattr(__import__(module, fromlist=[attribute]), attribute)
    return fault_of_click(command, tuple(words)) if isinstance(command, click.Command) else ""


def fault_of_setting(words: list[str]) -> str:
    """Given record, prop, value, ... return which of them is no setting, or whose value is not allowed."""
    known = {(row.record, row.name): row for row in PROPS}
    if words[0] not in {row.record for row in PROPS}:
        return f"there is no record {words[0]}"
    for prop, value in zip(words[1::2], [*words[2::2], ""], strict=False):
        row = known.get((words[0], prop))
        if row is None:
            return f"{words[0]} has no prop {prop}"
        if value and not value.isupper():
            try:
                row.kind.parse(value)
            except ValueError as error:
                return f"{words[0]} {prop} {value}: {error}"
    return ""


@pytest.mark.parametrize("page", FOR_ADMINISTRATORS, ids=ids)
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path) -> None:
    shown = list(commands_in(page, promised(page.read_text())))
    assert shown
    assert [f"{one}: {fault}" for one in shown if (fault := fault_of(one))] == []


def test_what_the_manual_calls_missing_is_missing() -> None:
    shown = list(commands_in(MANUAL, planned(MANUAL.read_text())))
    there = [one for one in shown if not fault_of(one)]
    still_useful = {"hotsync-promote --dry-run", "hotsync status", "hotsync --dry-run", "hotsync --full"}
    assert [str(one) for one in there if " ".join(one.words) not in still_useful] == []


@pytest.mark.parametrize("page", [*FOR_ADMINISTRATORS, ROOT / "docs/formats.md"], ids=ids)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = {row.name for row in PROPS} | {prop for _, props in RECORDS.values() for prop in props}
    named = {
        word
        for text in re.findall(r"`([^`\n]+)`", promised(page.read_text()))
        for word in re.findall(r"(?<![\w.<=/-])([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?![\w.>=-])", text)
    }
    assert sorted(named - known - {"MainPID"}) == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_error_code_that_a_page_names_exists(page: Path) -> None:
    codes = {kind.code for kind in tree()}
    heads = {code.partition(".")[0] for code in codes if "." in code}
    named = {
        word
        for word in re.findall(r"`([a-z]+\.[a-z]+)`", page.read_text())
        if word.partition(".")[0] in heads and not word.endswith((".md", ".py", ".toml", ".json", ".db"))
    }
    assert sorted(named - codes) == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def broken_links(page: Path) -> Iterator[str]:
    for target in links(page.read_text()):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place.read_text())):
            yield target


def test_the_commands_of_the_original_manual_are_in_ours_word_for_word() -> None:
    text = MANUAL.read_text() + (ROOT / "docs/promotion.md").read_text()
    lacking = [line for line in ORIGINALS if f"# {line}\n" not in text and f"`{line}`" not in text]
    assert lacking == []


ORIGINALS = (
    "config setprop rsyncd password <PASSWORD>",
    "config setprop hotsync role master",
    "config setprop hotsync SlaveHost <SLAVE_IP>",
    "config setprop hotsync role slave",
    "config setprop hotsync MasterHost <MASTER_IP>",
    "config setprop hotsync databases disabled",
    "config setprop hotsync status disabled",
    "config setprop hotsync status enabled",
    "signal-event nethserver-hotsync-save",
    "hotsync",
    "hotsync-slave",
    "hotsync-promote",
    "/sbin/e-smith/signal-event post-restore-data",
)


def test_the_manual_says_of_every_path_that_is_not_carried_by_default_why() -> None:
    text = MANUAL.read_text()
    files = shipped()["base"].files
    assert [path for path in (*files.exclude, *files.protect) if f"`{path}`" not in text] == []
    assert [path for path in files.include if f"`{path}`" not in text and path != "/var/lib/hotsync/spool"] == []


def test_what_the_manual_says_of_applications_is_of_profiles_that_were_tried_for_real() -> None:
    part = MANUAL.read_text().partition("\n## Supported applications\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \(`([a-z0-9-]+)`\) \|", part, re.MULTILINE)
    assert len(rows) > 10
    known = {name: one.profile for name, one in shipped().items() if one.profile.tested in ("lab", "contract")}
    assert [name for title, name in rows if name not in known or known[name].title != title] == []


def test_the_troubleshooting_names_every_error_that_an_administrator_can_meet() -> None:
    text = MANUAL.read_text()
    general = {"usage", "refused", "peer", "peer.refused", "peer.busy", "transfer", "config.profile"}
    assert sorted(kind.code for kind in tree() if f"`{kind.code}`" not in text and kind.code not in general) == []


def test_every_exit_status_that_the_manual_names_has_a_meaning() -> None:
    named = {int(word) for word in re.findall(r"(?:status|exits? with) (\d+)", manual.promised(MANUAL.read_text()))}
    assert named
    assert named <= {int(code) for code in ExitCode}


def pieces(quoted: str) -> list[str]:
    """Given what a page quotes, return the parts that must be found word for word (`...` and N stand for more)."""
    return [piece for part in re.split(r"\.\.\.| N\b", quoted) if (piece := part.strip(" ,.:()"))]


def test_what_the_troubleshooting_quotes_is_what_the_errors_say() -> None:
    sentences = {kind.code: re.sub(r"\{\w+\}", "...", " ".join((kind.__doc__ or "").split())) for kind in tree()}
    quotes = re.findall(r'"([^"\n]+)" \(`([a-z.]+)`', MANUAL.read_text())
    assert len(quotes) > 20
    said = [(code, piece) for quoted, code in quotes if code != "hotsync" for piece in pieces(quoted)]
    assert [f"{code}: {piece}" for code, piece in said if piece not in sentences[code]] == []


def test_what_the_promotion_page_quotes_is_what_the_program_says() -> None:
    source = " ".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
    source = re.sub(r'"\s+f?"', "", re.sub(r"\{[^{}]*\}", "...", source))
    quotes = re.findall(r'"([^"\n]+)"', (ROOT / "docs/promotion.md").read_text())
    assert len(quotes) > 6
    assert [quoted for quoted in quotes for piece in pieces(quoted) if piece not in source] == []


def test_the_manual_names_the_mails_that_are_written_and_no_others() -> None:
    text, source = MANUAL.read_text(), "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
    subjects = re.findall(r"^\| `([a-z A-Z]+) failed` \|", text, re.MULTILINE)
    assert subjects
    # what mails are about is a constant each: SYNC, SILENCE, STALE, ...
    constants = {name: value for name, value in vars(letters).items() if name.isupper() and isinstance(value, str)}
    written = [value for name, value in constants.items() if name not in ("NEXT", "ONCE")]
    assert sorted(subjects) == sorted(written)
    silence_is_mailed = len(re.findall(r"trouble_of_silence\(", source)) > 1
    assert silence_is_mailed == ("QuietMinutes" not in planned(text)), (
        "the manual's table of mails, and what it calls missing"
    )


def words_of(tree: ast.Module) -> Iterator[str]:
    """Return every text of a module that a person may read: its strings, with `...` for what is filled in."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
        and not (isinstance(node, ast.FunctionDef) and node.decorator_list)  # the help of a command
    }
    within: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            within |= {id(part) for part in ast.walk(node)}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented | within:
            yield node.value


SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXTS = {str(path.relative_to(ROOT)): list(words_of(ast.parse(path.read_bytes()))) for path in SOURCES}


def test_every_command_that_the_program_tells_people_to_run_is_there() -> None:
    named = [one for texts in TEXTS.values() for text in texts for one in commands_in(MANUAL, text)]
    assert len(named) > 20
    assert [f"{one}: {fault}" for one in named if (fault := fault_of(one))] == []


def test_nothing_that_the_manual_calls_missing_is_named_by_the_program() -> None:
    listed = planned(MANUAL.read_text())
    assert listed.strip()
    missing = {" ".join(one.words) for one in commands_in(MANUAL, listed) if fault_of(one)}
    texts = [(path, text) for path, texts in TEXTS.items() for text in texts]
    assert [f"{path}: {text}" for path, text in texts if any(word in text for word in missing)] == []
