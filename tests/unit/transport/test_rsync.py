from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hotsync.errors import NoSpace, OtherRsync, ReplicaError, TransferError
from hotsync.transport.rsync import (
    RsyncTerms,
    RsyncVersion,
    agree_terms,
    parse_version,
    same_server,
    sender_argv,
    server_argv,
)
from hotsync.transport.rsync_words import (
    Circumstances,
    Messages,
    is_cut,
    judge,
    parse_problem,
    parse_progress,
    parse_stats,
    unescape,
)
from tests.support.sizes import examples

TABLES = Path(__file__).parents[2] / "tables" / "rsync"
NEW = RsyncVersion(version="3.5.0", acls=True, xattrs=True, hardlinks=True, symtimes=True, iconv=True, zstd=True)


def terms(**changes: object) -> RsyncTerms:
    return agree_terms(NEW, NEW, stall_seconds=120, bandwidth=0, compress=False).model_copy(update=changes)


def shown(path: str) -> str:
    raw = path.replace("\\", "\\x5c").encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if 32 <= byte < 128 else f"\\x{byte:02x}" for byte in raw)


@pytest.mark.parametrize("table", sorted(TABLES.glob("*.txt")), ids=lambda path: path.stem)
def test_what_rsync_said_means_what_the_table_says(table: Path) -> None:
    head, _, expected = table.read_text().partition("=>\n")
    facts: dict[str, str] = {}
    lines = head.splitlines()
    while lines and lines[0].partition(" ")[0] in ("exit", "root", "received"):
        name, _, value = lines.pop(0).partition(" ")
        facts[name] = value
    messages = Messages()
    for line in lines:
        messages.add(line + "\n", facts["root"])
    around = Circumstances("3.5.0", "3.2.7", int(facts.get("received", "1000")), 10, 5)
    error = judge(int(facts["exit"]), messages, around)
    if error is not None:
        assert f"error {error.code}\n" == expected
    else:
        said = [f"{problem.trouble} {shown(problem.path)}\n" for problem in messages.problems]
        for word in messages.unstored.values():
            more = ", nor what is in it" * word.unmade + ", and what comes behind it is missing" * word.over
            said.append(f"unstored {' | '.join(shown(path) for path in word.paths)}: {word.reason}{more}\n")
        assert "".join(said) == expected
        assert is_cut(int(facts["exit"]), messages) is any(word.over for word in messages.unstored.values())


def escaped(raw: bytes) -> str:
    """Show a name as rsync does in the C locale: what does not print, and a backslash before #ooo, as octal."""
    text = ""
    for place, byte in enumerate(raw):
        looks_escaped = raw[place : place + 2] == b"\\#" and raw[place + 2 : place + 5].isdigit()
        text += f"\\#{byte:03o}" if byte < 32 or byte > 126 or looks_escaped else chr(byte)
    return text


names = st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw and b"/" not in raw and raw[:1] != b" ")


@given(names)
def test_every_name_comes_back_from_what_rsync_shows(raw: bytes) -> None:
    assert unescape(escaped(raw)).encode("utf-8", "surrogateescape") == raw


@given(names)
@settings(max_examples=examples(60))
def test_every_vanished_name_is_found_in_its_message(raw: bytes) -> None:
    for line in (
        f'file has vanished: "/src/{escaped(raw)}"',
        f'rsync: [sender] link_stat "/src/{escaped(raw)}" failed: No such file or directory (2)',
    ):
        problem = parse_problem(line, "/src")
        assert problem is not None
        assert problem.path.encode("utf-8", "surrogateescape") == raw


@given(st.text(max_size=200))
def test_no_line_makes_the_parsers_fail(line: str) -> None:
    Messages().add(line, "/")
    Messages().add(f"rsync: [sender] {line}", "/src")
    parse_progress(line)
    parse_stats([line])


def test_more_problems_than_anybody_reads_fail_the_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.transport.rsync_words.MAX_PROBLEMS", 3)
    messages = Messages()
    for number in range(5):
        messages.add(f'file has vanished: "/{number}"', "/")
    assert len(messages.problems) == 3
    assert isinstance(judge(24, messages, Circumstances("3.5.0", "3.5.0", 1)), TransferError)


def test_more_paths_than_anybody_reads_that_cannot_be_stored_fail_the_transfer_and_not_for_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hotsync.transport.rsync_words.MAX_UNSTORED", 3)
    messages = Messages()
    for number in range(5):
        for name in ("user.a", "user.b"):
            said = "failed: No space left on device (28)"
            messages.add(f'rsync: [receiver] rsync_xal_set: fsetxattr("/staging/1/{number}","{name}") {said}', "/")
    assert len(messages.unstored) == 3
    error = judge(23, messages, Circumstances("3.5.0", "3.5.0", 1))
    assert isinstance(error, ReplicaError)
    assert not isinstance(error, NoSpace)
    assert "more than 3 paths" in error.sentence


@pytest.mark.parametrize("number", [5, 13, 23, 24, 30, 117])
def test_what_says_that_nothing_can_be_stored_is_a_failure_of_the_run(number: int) -> None:
    messages = Messages()
    messages.add(f'rsync: [receiver] mkstemp "/replica/staging/1/.a.ABCDEF" failed: whatever ({number})', "/")
    error = judge(23, messages, Circumstances("3.5.0", "3.5.0", 1))
    assert isinstance(error, ReplicaError)


@given(names, names)
@settings(max_examples=examples(60))
def test_every_name_is_among_the_meanings_of_a_line_whatever_its_attribute_is_called(raw: bytes, other: bytes) -> None:
    line = f'rsync: [receiver] rsync_xal_set: fsetxattr("/r/staging/7/srv/{escaped(raw)}","user.{escaped(other)}")'
    messages = Messages()
    messages.add(f"{line} failed: No space left on device (28)", "/")
    (word,) = messages.unstored.values()
    path = ("srv/" + raw.decode("utf-8", "surrogateescape")).rstrip("/")
    assert path in word.paths or line.count('","') > 15


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("              0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=0/1)", (0, 0)),
        ("     83,001,344  83%   38.77MB/s    0:00:00  ", (83001344, 0)),
        ("      100000000 100%   38.93MB/s    0:00:02 (xfr#17, to-chk=3/20)", (100000000, 17)),
        ("      100000000 100%   38.93MB/s    0:00:02 (xfr#17, ir-chk=1003/2000)", (100000000, 17)),
        ("sent 123 bytes  received 16 bytes  278.00 bytes/sec", None),
        ("", None),
    ],
)
def test_a_line_of_progress_is_told_from_others(line: str, wanted: tuple[int, int] | None) -> None:
    found = parse_progress(line)
    assert (None if found is None else (found.bytes, found.files)) == wanted


def test_figures_are_read_with_and_without_separators() -> None:
    lines = [
        "Number of regular files transferred: 1,234",
        "Total transferred file size: 56789 bytes",
        "",
        "sent 1 bytes",
    ]
    assert parse_stats(lines) == {
        "Number of regular files transferred": 1234,
        "Total transferred file size": 56789,
    }


DEBIAN_12 = """rsync  version 3.2.7  protocol version 31
Capabilities:
    64-bit files, 64-bit inums, 64-bit timestamps, 64-bit long ints,
    socketpairs, symlinks, symtimes, hardlinks, hardlink-specials,
    hardlink-symlinks, IPv6, atimes, batchfiles, inplace, append, ACLs,
    xattrs, optional secluded-args, iconv, prealloc, stop-at, no crtimes
Checksum list:
    xxh128 xxh3 xxh64 (xxhash) md5 md4 sha1 none
Compress list:
    zstd lz4 zlibx zlib none
"""
CENTOS_7 = """rsync  version 3.1.2  protocol version 31
Copyright (C) 1996-2015 by Andrew Tridgell, Wayne Davison, and others.
Capabilities:
    64-bit files, 64-bit inums, 64-bit timestamps, 64-bit long ints,
    socketpairs, hardlinks, symlinks, IPv6, batchfiles, inplace,
    append, ACLs, xattrs, iconv, symtimes, prealloc

rsync comes with ABSOLUTELY NO WARRANTY.
"""
POOR = CENTOS_7.replace("ACLs, xattrs, ", "no ACLs, no xattrs, ")


def test_versions_of_three_generations_are_read() -> None:
    assert parse_version(DEBIAN_12) == NEW.model_copy(update={"version": "3.2.7"})
    assert parse_version(CENTOS_7) == NEW.model_copy(update={"version": "3.1.2", "zstd": False})
    assert parse_version(POOR).acls is False


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"version": 3}', "bash: rsync: command not found", '{"capabilities": 1}']
)
def test_what_is_no_version_is_named(text: str) -> None:
    with pytest.raises(TransferError):
        parse_version(text)


def test_an_rsync_without_acls_or_too_old_is_refused_with_the_side_that_lacks_it() -> None:
    poor = parse_version(POOR)
    with pytest.raises(OtherRsync) as here:
        agree_terms(poor, NEW, stall_seconds=60, bandwidth=0, compress=False)
    assert "here lacks acls, xattrs" in here.value.hint
    with pytest.raises(OtherRsync) as there:
        agree_terms(NEW, NEW.model_copy(update={"version": "2.6.9"}), stall_seconds=60, bandwidth=0, compress=False)
    assert "there lacks what 3.1 brought" in there.value.hint


def test_compression_needs_both_sides() -> None:
    old = parse_version(CENTOS_7)
    assert agree_terms(NEW, NEW, stall_seconds=60, bandwidth=9, compress=True).compress == "zstd"
    assert agree_terms(NEW, old, stall_seconds=60, bandwidth=9, compress=True).compress == "none"


def test_the_receiver_of_an_older_sender_gets_what_that_one_can() -> None:
    assert server_argv(terms(sender="3.1.2", iconv=False, told=False))[2] == "-lHogDtpAXXRSe.LfxC"
    assert server_argv(terms())[2] == "-lHogDtpAXXRSe.LsfxCIvu"


def test_the_order_of_options_means_nothing_and_everything_else_does() -> None:
    argv = server_argv(terms())
    shuffled = [argv[0], argv[1], *reversed(argv[2:-2]), *argv[-2:]]
    assert same_server(shuffled, terms())
    for other in (
        [*argv, "extra"],
        [*argv[:-1], "/etc"],
        [word for word in argv if word != "--numeric-ids"],
        [*argv[:2], "--delete", *argv[2:]],
        [argv[0], argv[1], argv[2].replace("X", ""), *argv[3:]],
        [argv[0], argv[1], argv[2].replace("XX", "X"), *argv[3:]],
        [argv[0], argv[1], argv[2].replace("v", ""), *argv[3:]],
    ):
        assert not same_server(other, terms())


def test_all_metadata_travels_by_number_and_nanosecond() -> None:
    argv = sender_argv(terms(), "shell", "/list", "/")
    assert {"-aHAXXS", "--numeric-ids", "--modify-window=-1", "--from0", "--files-from=/list"} <= set(argv)
    assert argv[-2:] == ["/", "peer:."]
    assert not any(word.startswith("--delete") for word in argv)


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=30), st.integers(), st.booleans(), st.none())))
@settings(max_examples=examples(60))
def test_terms_from_a_peer_never_carry_a_word_of_its_own_into_a_command_line(document: dict[str, object]) -> None:
    base = terms().model_dump()
    try:
        told = RsyncTerms.model_validate({**base, **{key: value for key, value in document.items() if key in base}})
    except ValidationError:
        return
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-=.@")
    assert all(set(word) <= allowed for word in server_argv(told))


@pytest.mark.parametrize("text", ["3.5.0 --daemon", "3.5", "3.5.0\n", "99999.0.0", "", "3.5.0;id"])
def test_a_version_from_a_peer_is_three_numbers(text: str) -> None:
    with pytest.raises(ValidationError):
        RsyncTerms.model_validate({**terms().model_dump(), "sender": text})
