"""Man pages and completion from the commands themselves; run with the libraries that we ship and those that build.

Usage: papers.py OUTPUT-FOLDER VERSION DATE SITE-FOLDER...
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from environment import INTERNAL

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEMPLATES = {"config": "database", "db": "database", "signal-event": "signal-event"}
"""Completion of commands that read their arguments themselves; `plain` for the others."""


def commands() -> Iterator[tuple[str, object]]:
    """Return each command with what its name in [project.scripts] stands for; say which module is not written yet."""
    scripts: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in sorted(scripts.items()):
        module, _, attribute = target.partition(":")
        if importlib.util.find_spec(module) is None:
            print(f"papers: {name}: no module {module} yet", file=sys.stderr)
            continue
        if name in INTERNAL:
            continue
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            # A command that cannot start must not keep the others from being tried; tests/packaging misses its page.
            print(f"papers: {name}: {error}", file=sys.stderr)
            continue
        yield name, getattr(loaded, attribute)


def write_page(out: Path, title: str, text: str, section: int = 8) -> None:
    """Write a man page."""
    with gzip.GzipFile(out / f"{title}.{section}.gz", "wb", mtime=0) as file:
        file.write(text.encode())


def write_profile_page(out: Path, version: str, date: str) -> None:
    """Write hotsync-profile(5), which describes a kind of file."""
    from docs.generators._profile_man import man_page

    write_page(out, "hotsync-profile", man_page(version, date), section=5)


def write_man_page(out: Path, name: str, command: object, parent: object, version: str, date: str) -> None:
    """Write the pages of a command and of its subcommands, in section 8."""
    import click
    from click_man.core import generate_man_page

    assert isinstance(command, click.Command)
    assert parent is None or isinstance(parent, click.Context)
    context = click.Context(command, info_name=name, parent=parent)
    say_briefly(command)
    page = str(generate_man_page(context, version=version, date=date))
    title = context.command_path.replace(" ", "-")
    page = page.replace(f'"{context.command_path.upper()}" "1" "', f'"{title.upper()}" "8" "', 1)
    page = page.replace(f'"{context.command_path} Manual"', '"HotSync"', 1)
    page = page.replace("(1)\\fP for full documentation", "(8)\\fP for full documentation") + exit_status()
    write_page(out, title, page)
    if isinstance(command, click.Group):
        for child, subcommand in sorted(command.commands.items()):
            if not subcommand.hidden:
                write_man_page(out, child, subcommand, context, version, date)


def say_briefly(command: object) -> None:
    """Give a command, and those below it, their first sentence as their short help, uncut."""
    import click

    assert isinstance(command, click.Command)
    for one in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
        if one.short_help is None and one.help:
            one.short_help = " ".join(one.help.split("\n\n")[0].split()).partition(". ")[0].removesuffix(".")


def exit_status() -> str:
    """Return the section of a page that says what the exit status means."""
    from docs.generators.errors import MEANINGS

    rows = "".join(f".TP\n\\fB{int(code)}\\fP\n{meaning}\n" for code, meaning in MEANINGS.items())
    return f"\n.SH EXIT STATUS\n{rows}.SH SEE ALSO\n/usr/share/doc/hotsync/errors.md\n"


def write_plain_page(out: Path, name: str, function: Callable[[], int], version: str, date: str) -> str:
    """Write the page of a command that reads its arguments itself, from its help; return that help."""
    call = f"import sys; sys.path[:0] = {sys.path!r}; sys.argv = [{name!r}, '--help']; "
    call += f"from {function.__module__} import {function.__name__}; sys.exit({function.__name__}())"
    words = [sys.executable, "-I", "-c", call]
    text = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    body = "\n".join("\\&" + line.replace("\\", "\\e").replace("-", "\\-") for line in text.strip("\n").splitlines())
    page = f'.TH "{name.upper()}" "8" "{date}" "{version}" "HotSync"\n.SH NAME\n{name} \\- {purpose(text)}\n'
    write_page(out, name, f"{page}.SH DESCRIPTION\n.nf\n{body}\n.fi\n")
    return text


def purpose(help_text: str) -> str:
    """Given a command's help, return what it is for: after `NAME: `, or the first sentence below the usage."""
    head, _, rest = help_text.partition("\n")
    if not head.startswith("usage:"):
        return head.partition(": ")[2] or head
    sentence = re.split(r"[.:]", rest.strip(), maxsplit=1)[0]
    return sentence[:1].lower() + " ".join(sentence[1:].split())


def write_plain_completion(out: Path, name: str, help_text: str) -> None:
    """Given a command's help, write its completion: verbs, options, and what stands alone in a line."""
    verbs = re.findall(rf"^ +{name} (?:dbfile )?(\w+)", help_text, re.MULTILINE)
    options = re.findall(r"--[a-z][a-z-]+", help_text)
    listed = re.findall(r"^ +([a-z][\w-]+)$", help_text, re.MULTILINE)
    text = (HERE / "completion" / TEMPLATES.get(name, "plain")).read_text()
    words = " ".join(dict.fromkeys([*verbs, *options, *listed]))
    (out / name).write_text(text.replace("@WORDS@", words).replace("@NAME@", name))


def write_completion(out: Path, name: str, command: object) -> None:
    """Write the bash completion of a command."""
    import click
    from click.shell_completion import BashComplete

    assert isinstance(command, click.Command)
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    completion = BashComplete(command, {}, name, variable)
    (out / name).write_text(completion.source_template % completion.source_vars())


def main(output: str, version: str, date: str, *sites: str) -> None:
    """Write all papers below the output folder, as they lie on a server."""
    sys.path[:0] = [*sites, str(ROOT)]
    import click

    man, completion = Path(output, "usr/share/man/man8"), Path(output, "usr/share/bash-completion/completions")
    formats = Path(output, "usr/share/man/man5")
    for folder in (man, formats, completion):
        folder.mkdir(parents=True, exist_ok=True)
    write_profile_page(formats, version, date)
    for name, command in commands():
        if isinstance(command, click.Command):
            write_man_page(man, name, command, None, version, date)
            write_completion(completion, name, command)
        elif callable(command):
            write_plain_completion(completion, name, write_plain_page(man, name, command, version, date))


if __name__ == "__main__":
    main(*sys.argv[1:])
