from pathlib import Path

import pytest

from hotsync.backends import yum_plugin
from hotsync.model.identity import Role
from hotsync.system.paths import Paths

SHIPPED = b"[main]\nenabled = 1\n"
ODD = b"# ours\r\n[other]\nenabled=1\n[main]\n enabled=1\nEnabled : yes  \nx=\xff\n[last]\nenabled=1"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    (tmp_path / "etc/yum/pluginconf.d").mkdir(parents=True)
    return Paths(tmp_path)


def plugin(paths: Paths) -> Path:
    return paths.at(yum_plugin.FILE)


@pytest.mark.parametrize("text", [SHIPPED, ODD])
def test_off_on_a_slave_and_afterwards_byte_for_byte_what_it_was(paths: Paths, text: bytes) -> None:
    plugin(paths).write_bytes(text)
    plugin(paths).chmod(0o640)
    assert yum_plugin.follow(paths, Role.SLAVE)
    off = plugin(paths).read_bytes()
    assert not yum_plugin.is_on(off)
    assert len([1 for old, new in zip(text.split(b"\n"), off.split(b"\n"), strict=True) if old != new]) == 1
    assert yum_plugin.follow(paths, Role.SLAVE) == ""
    assert plugin(paths).read_bytes() == off
    assert yum_plugin.follow(paths, Role.MASTER)
    assert yum_plugin.follow(paths, Role.MASTER) == ""
    assert (plugin(paths).read_bytes(), plugin(paths).stat().st_mode & 0o777) == (text, 0o640)
    assert not paths.yum_plugin.exists()


@pytest.mark.parametrize(
    "text", [b"[main]\nenabled = 0\n", b"[main]\n", b"enabled = 1\n", b"", b"[main]\n#enabled = 1\n"]
)
def test_what_was_off_or_says_nothing_is_never_touched(paths: Paths, text: bytes) -> None:
    plugin(paths).write_bytes(text)
    inode = plugin(paths).stat().st_ino
    for role in (Role.SLAVE, Role.MASTER):
        assert yum_plugin.follow(paths, role) == ""
    assert (plugin(paths).read_bytes(), plugin(paths).stat().st_ino) == (text, inode)


def test_without_the_plugin_there_is_nothing_to_do(paths: Paths) -> None:
    for role in (Role.SLAVE, Role.NONE, Role.MASTER):
        assert yum_plugin.follow(paths, role) == ""
    assert not plugin(paths).exists()


def test_a_link_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(SHIPPED)
    plugin(paths).symlink_to(tmp_path / "elsewhere")
    assert yum_plugin.follow(paths, Role.SLAVE) == ""
    assert (tmp_path / "elsewhere").read_bytes() == SHIPPED


def test_a_cut_between_the_note_and_the_change_is_made_good(paths: Paths) -> None:
    plugin(paths).write_bytes(SHIPPED)
    paths.yum_plugin.write_bytes(b"1")
    assert yum_plugin.follow(paths, Role.SLAVE)
    plugin(paths).write_bytes(SHIPPED)  # a promotion has brought the MASTER's /etc
    assert yum_plugin.follow(paths, Role.MASTER) == ""
    assert plugin(paths).read_bytes() == SHIPPED
    assert not paths.yum_plugin.exists()
