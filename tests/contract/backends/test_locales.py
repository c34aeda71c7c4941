"""Locales made by the real localedef, below another root."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends import locales
from hotsync.model.locale_names import lacking
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


def test_a_locale_is_made_and_one_that_nobody_knows_is_told(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    supported = paths.at(locales.SUPPORTED)
    supported.parent.mkdir(parents=True)
    supported.write_bytes(Path(locales.SUPPORTED).read_bytes())
    (tmp_path / "usr/lib/locale").mkdir(parents=True)
    failed = locales.make(paths, ["it_IT.utf8", "it_IT@euro", "xx_YY.UTF-8"])
    assert list(failed) == ["xx_YY.UTF-8"]
    archive = tmp_path / "usr/lib/locale/locale-archive"
    listed = command.run(["localedef", f"--prefix={tmp_path}", "--list-archive"]).text.split()
    assert archive.exists()
    assert lacking(["it_IT.UTF-8", "it_IT@euro"], listed) == ()


def test_without_the_definitions_it_is_said_what_is_not_here(tmp_path: Path) -> None:
    assert locales.SUPPORTED in locales.make(Paths(tmp_path), ["it_IT.UTF-8"])["it_IT.UTF-8"]


def test_what_is_installed_here_is_listed() -> None:
    assert "C.utf8" in locales.installed()
