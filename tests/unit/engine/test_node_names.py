"""The name that an ejabberd would have after a promotion, and the one that its database knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotsync.engine.slave.node_names import control_text, nodes_differing
from hotsync.model.promotion import DatabaseDump

DUMP = DatabaseDump("ejabberd", "ejabberd", "ejabberd.service", "c" * 64, 1, "23.01", "/var/lib/ejabberd", True)
FILE = "etc/ejabberd/ejabberdctl.cfg"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def spool(tmp_path: Path, node: str) -> Path:
    document = {
        "schema": 1, "version": "23.01", "digest": "c" * 64, "collected_at": 1.0, "node": node,
        "folder": "/var/lib/ejabberd", "content_sum": "", "records": {}, "seen": "",
        "content": {"file": "mnesia.backup", "size": 0, "sha256": ""},
    }  # fmt: skip
    write(tmp_path / "spool/ejabberd/ejabberd/server.json", json.dumps(document))
    return tmp_path / "spool"


@pytest.mark.parametrize(
    ("node", "text", "same"),
    [
        ("ejabberd@localhost", "", True),  # nothing is set: the usual name, whatever the host is called
        ("ejabberd@localhost", "#ERLANG_NODE=ejabberd@mail\n", True),
        ("ejabberd@mail", "ERLANG_NODE=ejabberd@mail\n", True),
        ("ejabberd@mail", "ERLANG_NODE=ejabberd@chat\n", False),  # renamed since the last good backup
        ("ejabberd@mail", "", False),
    ],
)
def test_a_name_with_a_host_in_it_is_that_of_the_file(tmp_path: Path, node: str, text: str, same: bool) -> None:
    said = nodes_differing(spool(tmp_path, node), (DUMP,), text, "mail", "spare")
    assert (said == ()) is same
    assert all(node in line for line in said)


def test_a_name_without_a_host_is_completed_with_that_of_the_host(tmp_path: Path) -> None:
    folder, text = spool(tmp_path, "ejabberd"), "ERLANG_NODE=ejabberd\n"
    assert nodes_differing(folder, (DUMP,), text, "mail", "mail.example.org") == ()
    (said,) = nodes_differing(folder, (DUMP,), text, "mail.example.org", "spare")
    assert "ejabberd@spare" in said
    assert "belongs to ejabberd@mail (give this server the name mail.example.org first)" in said
    assert nodes_differing(folder, (DUMP,), text, "", "spare") == ()  # it is not known what the MASTER is called


def test_the_masters_file_counts_unless_this_host_keeps_its_own(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "root"
    write(tree / FILE, "the MASTER's")
    write(root / FILE, "our own")
    assert control_text(tree, root, frozenset()) == "the MASTER's"
    assert control_text(tree, root, frozenset(("etc/shadow", "etc/ejabberd"))) == "our own"
    assert control_text(tree, root, frozenset((FILE,))) == "our own"


def test_what_is_not_carried_is_no_file_and_what_is_a_link_says_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    assert control_text(tree, tmp_path, frozenset()) == ""
    (tree / "etc/ejabberd").symlink_to("/srv/ejabberd")
    assert control_text(tree, tmp_path, frozenset()) is None
    assert nodes_differing(spool(tmp_path, "ejabberd@mail"), (DUMP,), None, "mail", "mail") == ()


def test_a_document_that_cannot_be_read_is_told_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "spool/ejabberd/ejabberd/server.json", "{")
    assert nodes_differing(tmp_path / "spool", (DUMP,), "", "mail", "mail") == ()
