"""The linters as tests: style, words, shell, units, types and layers, in that order."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INDEX_HOSTS = tuple(".".join(words) for words in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org")))


def files() -> list[Path]:
    """Return every file of the project: tracked, or new and not ignored."""
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def shell_scripts() -> Iterator[str]:
    """Return the shell scripts: by suffix, or by their first line."""
    for path in files():
        with path.open("rb") as file:
            first = file.readline(80)
        if path.suffix == ".sh" or re.match(rb"#!/bin/(ba)?sh|#!/usr/bin/env (ba)?sh|# shellcheck shell=", first):
            yield str(path.relative_to(ROOT))


def passes(*argv: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a linter; what it says is the message of the failure."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        pytest.fail(f"{words[0]}:\n{done.stdout.decode(errors='replace')}", pytrace=False)


def test_ruff_finds_no_fault() -> None:
    passes(BIN / "ruff", "check", "--quiet", ".")


def test_the_code_is_formatted() -> None:
    passes(BIN / "ruff", "format", "--check", "--quiet", ".")


def test_words_are_spelled() -> None:
    passes(BIN / "codespell", *(path.relative_to(ROOT) for path in files() if path.parts[-2] != "lock"))


def test_there_is_no_dead_code() -> None:
    passes(BIN / "vulture")


def test_no_file_names_the_host_of_a_package_index() -> None:
    named = [path for path in files() if any(host.encode() in path.read_bytes() for host in INDEX_HOSTS)]
    assert not named


def test_shell_scripts_are_sound() -> None:
    passes("shellcheck", "-x", *shell_scripts())


def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    units = sorted(path for kind in ("service", "socket", "timer", "target") for path in ROOT.glob(f"systemd/*.{kind}"))
    if not units:
        pytest.skip("there is no unit yet")
    for unit in units:
        # Our programs are not installed here; that they exist is checked where the package is installed.
        text = re.sub(r"^(Exec\w+=[-+!:@]*)/usr/(bin|lib)/\S*", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE)
        for name in {
            unit.name,
            *(unit.name.replace("@.", f"@{one}.") for one in ("1", "internal")),
        }:  # a socket asks for the last
            (tmp_path / name).write_text(text)
    names = [tmp_path / unit.name.replace("@.", "@1.") for unit in units]
    passes("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", *names)


def test_mypy_agrees() -> None:
    passes(
        BIN / "mypy",
        *(folder for folder in ("src", "tests", "docs", "lab", "bench", "demo") if any((ROOT / folder).rglob("*.py"))),
    )


def test_mypy_agrees_with_the_build() -> None:
    passes(
        BIN / "mypy",
        *sorted(ROOT.glob("packaging/deb/*.py")),
        ROOT / "script/lib/run_tests.py",
        env={"MYPYPATH": "packaging/deb"},
    )


def test_pyright_agrees() -> None:
    passes(BIN / "pyright", "--warnings")


def test_every_import_goes_down() -> None:
    passes(BIN / "lint-imports")
