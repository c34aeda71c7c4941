"""Words of the command line that must not be empty: an empty one comes of a variable that a script forgot to set, and
must not be taken for one that was not given."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

_EMPTY = "it is empty; a variable that was not set?"


class Text(click.ParamType[str]):
    """A word that says something."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word; fail, which is a usage error, if it is empty."""
        if not str(value).strip():
            self.fail(_EMPTY, param, ctx)
        return str(value)


class Folder(click.Path):
    """A path that names something: an empty one would mean the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; fail, which is a usage error, if it is empty."""
        if value == "":
            self.fail(_EMPTY, param, ctx)
        return cast(Path, super().convert(value, param, ctx))
