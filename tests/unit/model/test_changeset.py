from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import ProtocolError
from hotsync.model.changeset import (
    EMPTY_DIGEST,
    chain_digest,
    check_order,
    checked_path,
    parse_change,
    recall_change,
    render_change,
)
from hotsync.model.entry import Change, Entry, Kind, Verb, path_of_key, sort_key

names = st.binary(min_size=1, max_size=40).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: b"/".join(parts).decode("utf-8", "surrogateescape"))
numbers = st.integers(0, 2**62)
entries = st.builds(
    Entry,
    path=paths,
    kind=st.sampled_from(Kind),
    mode=st.integers(0, 0o7777),
    uid=numbers,
    gid=numbers,
    size=numbers,
    mtime_ns=st.integers(-(2**62), 2**62),
    ctime_ns=numbers,
    inode=st.integers(0, 2**64 - 1),
    device=st.integers(0, 2**64 - 1),
    links=numbers,
    rdev=numbers,
    target=paths,
    attributes=st.text("0123456789abcdef", max_size=64),
    flags=numbers,
    unsettled=st.booleans(),
)


def change_of(entry: Entry, verb: Verb, source: str) -> Change:
    if verb is Verb.DELETE:
        return Change(verb, entry.path)
    return Change(verb, entry.path, entry, source if verb is Verb.MOVED else "")


@given(st.builds(change_of, entries, st.sampled_from(Verb), paths))
def test_what_is_rendered_is_parsed_again(change: Change) -> None:
    assert parse_change(render_change(change)) == change


@given(st.builds(change_of, entries, st.sampled_from(Verb), paths))
def test_what_this_host_wrote_is_recalled_as_it_was(change: Change) -> None:
    assert recall_change(render_change(change)) == change


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b"{}", b'{"verb":"content","path":"a"}', b'{"verb":"no"}', b"\xff"]
)
def test_a_damaged_line_of_our_own_is_named(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="damaged"):
        recall_change(line)


@given(st.builds(change_of, entries, st.sampled_from(Verb), paths))
def test_a_line_is_what_json_makes_of_it_with_sorted_keys_and_without_zeros(change: Change) -> None:
    fields: dict[str, object] = {} if change.entry is None else dataclasses.asdict(change.entry)
    fields |= {"verb": change.verb.value, "path": change.path, "source": change.source}
    kept = {name: value for name, value in fields.items() if value}
    line = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert render_change(change) == line.encode("ascii") + b"\n"


@given(st.binary(max_size=300))
def test_whatever_a_peer_sends_is_a_change_or_a_protocol_error(line: bytes) -> None:
    try:
        change = parse_change(line)
    except ProtocolError:
        return
    assert render_change(change) == line


@pytest.mark.parametrize(
    "path",
    ["", "/etc", "etc/", "etc//passwd", "..", "a/../b", "./a", "a\0b", "x" * 256, "a/" * 3000 + "a", None, 3, b"a"],
)
def test_a_path_that_could_lead_astray_is_refused(path: object) -> None:
    with pytest.raises(ValueError, match="path"):
        checked_path(path)


@pytest.mark.parametrize(
    "line",
    [
        b'{"path":"a","verb":"delete","extra":1}\n',
        b'{"verb":"delete","path":"a"}\n',  # keys not in order
        b'{"path":"a","verb":"delete"}',  # no newline
        b'{"kind":"f","mode":8192,"path":"a","verb":"content"}\n',
        b'{"kind":"f","path":"a","size":-1,"verb":"content"}\n',
        b'{"kind":"f","path":"a","size":true,"verb":"content"}\n',
        b'{"kind":"x","path":"a","verb":"content"}\n',
        b'{"kind":"f","path":"a","verb":"moved"}\n',
        b'["path"]\n',
        b"[" * 5000,
    ],
)
def test_a_line_that_is_not_canonical_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_change(line)


def entry(path: str, kind: Kind = Kind.FILE) -> Entry:
    return Entry(path, kind, 0o644, 0, 0, 0, 0, 0, 1, 1, 1)


def test_a_changeset_that_is_not_sorted_is_refused() -> None:
    changes = [Change(Verb.DELETE, "b"), Change(Verb.DELETE, "a")]
    with pytest.raises(ProtocolError, match="sorted"):
        list(check_order(changes))


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.SYMLINK, Kind.FIFO])
def test_nothing_may_be_put_inside_a_path_that_is_no_folder(kind: Kind) -> None:
    link = Change(Verb.CONTENT, "a", entry("a", kind))
    inside = Change(Verb.CONTENT, "a/b", entry("a/b"))
    with pytest.raises(ProtocolError, match="inside"):
        list(check_order([link, inside]))


def test_what_was_inside_a_folder_that_became_a_file_may_be_deleted() -> None:
    changes = [Change(Verb.CONTENT, "a", entry("a")), Change(Verb.DELETE, "a/b"), Change(Verb.DELETE, "a/b/c")]
    assert list(check_order(changes)) == changes


@given(st.lists(paths, unique=True))
def test_the_order_is_that_of_a_walk(some: list[str]) -> None:
    ordered = sorted(some, key=sort_key)
    assert ordered == sorted(
        some, key=lambda path: [part.encode("utf-8", "surrogateescape") for part in path.split("/")]
    )
    assert [path_of_key(sort_key(path)) for path in some] == some


def test_the_chain_names_every_changeset_and_its_place() -> None:
    one = chain_digest(EMPTY_DIGEST, [b"a\n"])
    assert chain_digest(one, [b"b\n"]) != chain_digest(chain_digest(EMPTY_DIGEST, [b"b\n"]), [b"a\n"])
