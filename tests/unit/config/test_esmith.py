import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.config import esmith
from hotsync.config.esmith import Record
from hotsync.errors import UsageError

KEYS = st.text(st.characters(exclude_characters="\n|=", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: esmith.trim(key) == key and not key.startswith("#")
)
# what the format can hold: see docs/decisions/0010
FIELDS = st.text(st.characters(exclude_categories=["Cs"])).filter(
    lambda text: not text.endswith("\\") and "\\n" not in text and "\\|" not in text and "\\\n" not in text
)
TYPES = FIELDS.filter(lambda text: bool(esmith.trim(text)) and esmith.trim(text) == text and "|" not in text)
NAMES = FIELDS.filter(lambda text: "|" not in text)
RECORDS = st.builds(Record, TYPES, st.dictionaries(NAMES, FIELDS, max_size=6))
DOCUMENTS = st.dictionaries(KEYS, RECORDS.map(esmith.render_value), max_size=6)


def meant(record: Record) -> dict[str, str]:
    return {esmith.plain(name): esmith.plain(value or "") for name, value in record.props.items()}


@given(RECORDS)
def test_what_was_set_reads_back_but_for_blanks_at_the_end(record: Record) -> None:
    back = esmith.parse_value(esmith.render_value(record))
    assert back.type == record.type
    last = max(record.props, key=esmith.to_bytes, default=None)
    for name, value in record.props.items():
        read = meant(back)
        if name == last and esmith.trim(name + (value or "")) != name + (value or ""):
            continue  # blanks at the end of the whole value are not kept
        assert read[name] == value


@given(RECORDS)
def test_a_record_never_changes_by_being_read_and_written_again(record: Record) -> None:
    stored = esmith.render_value(record)
    assert esmith.render_value(esmith.parse_value(stored)) == stored


@given(DOCUMENTS)
def test_a_document_reads_back_as_it_was_written(document: dict[str, str | None]) -> None:
    data = esmith.render_document(document, "Sun Nov 22 15:00:00 2026")
    assert esmith.parse_document(data) == document
    assert esmith.render_document(esmith.parse_document(data), "Sun Nov 22 15:00:00 2026") == data


@given(st.binary())
def test_any_bytes_can_be_read_and_written_and_read_again_without_a_difference(data: bytes) -> None:
    document = esmith.parse_document(data)
    again = esmith.parse_document(esmith.render_document(document, "now"))
    assert again == {key: value or "" for key, value in document.items()}


@given(st.binary())
def test_text_of_any_bytes_turns_back_into_the_same_bytes(data: bytes) -> None:
    assert esmith.to_bytes(esmith.to_text(data)) == data


@given(RECORDS, st.text("abcd|", min_size=4))
def test_a_secret_never_shows_in_a_masked_value(record: Record, secret: str) -> None:
    secret = f"geheim{secret}"
    stored = esmith.render_value(record.with_props({"password": secret}))
    assert secret not in esmith.masked("rsyncd", stored)
    assert "geheim" not in esmith.masked("rsyncd", stored)


def test_comments_and_blank_lines_are_skipped_and_the_first_equals_sign_splits() -> None:
    data = b"# a comment\n\n   \t\n  # another\nfirst=service|a|b=c\nnothing\nempty=\n=x\n"
    assert esmith.parse_document(data) == {"first": "service|a|b=c", "nothing": None, "empty": "", "": "x"}


def test_blanks_around_a_key_of_a_file_edited_by_hand_are_part_of_the_key() -> None:
    assert esmith.parse_document(b"  sp =service\n") == {"  sp ": "service"}


def test_a_pipe_after_a_backslash_does_not_separate() -> None:
    assert esmith.parse_value(r"service|a|x\|y|b|") == Record("service", {"a": r"x\|y", "b": ""})


def test_an_odd_number_of_fields_is_a_prop_without_a_value() -> None:
    assert esmith.parse_value("service|a|b|c") == Record("service", {"a": "b", "c": None})


def test_of_a_prop_that_comes_twice_the_last_one_counts() -> None:
    assert esmith.parse_value("service|a|1|a|2") == Record("service", {"a": "2"})


def test_a_newline_is_stored_as_two_characters() -> None:
    stored = esmith.render_value(Record("service", {"a": "one\ntwo"}))
    assert stored == r"service|a|one\ntwo"
    assert esmith.parse_value(stored).props["a"] == "one\ntwo"


def test_props_are_sorted_by_their_bytes() -> None:
    assert esmith.render_value(Record("t", {"a": "1", "B": "2", "é": "3", "\udcff": "4"})) == "t|B|2|a|1|é|3|\udcff|4"


def test_a_bare_pipe_in_a_value_is_stored_so_that_it_separates_nothing() -> None:
    stored = esmith.render_value(Record("service", {"password": "a|b", "status": "enabled"}))
    assert stored == r"service|password|a\|b|status|enabled"
    assert esmith.plain(esmith.parse_value(stored).props["password"] or "") == "a|b"


def test_a_pipe_that_is_escaped_already_is_stored_as_it_is() -> None:
    assert esmith.render_value(Record("service", {"a": r"x\|y"})) == r"service|a|x\|y"


def test_a_value_whose_last_backslash_would_swallow_the_next_prop_is_refused() -> None:
    with pytest.raises(UsageError, match="backslash"):
        esmith.render_value(Record("service", {"a": "x\\", "b": "y"}))


@pytest.mark.parametrize(
    "record", [Record("service", {"a|b": "x"}), Record("ser|vice", {"a": "x"}), Record("x\\", {"a": "y"})]
)
def test_a_type_or_prop_that_would_shift_what_follows_is_refused(record: Record) -> None:
    with pytest.raises(UsageError):
        esmith.render_value(record)


def test_a_last_value_may_end_in_a_backslash() -> None:
    assert esmith.parse_value(esmith.render_value(Record("service", {"a": "x\\"}))).props["a"] == "x\\"


@pytest.mark.parametrize("key", ["", "  ", "a=b", "a|b", "a\nb", "#a", "  #a"])
def test_a_key_that_the_format_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        esmith.check_key(key)


@pytest.mark.parametrize(
    "name", ["password", "Password", "adminPassword", "client_secret", "API-Key", "AuthToken", "pass", "PSK"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert esmith.is_secret(name)


@pytest.mark.parametrize("name", ["status", "SlaveHost", "PublicKey", "bypass", "TCPPort"])
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not esmith.is_secret(name)


@pytest.mark.parametrize(
    ("key", "stored", "shown"),
    [
        (
            "rsyncd",
            "service|TCPPort|873|password|geheim|status|disabled",
            "service|TCPPort|873|password|***|status|disabled",
        ),
        ("rsyncd", "service|password||status|disabled", "service|password||status|disabled"),
        ("rsyncd", "service|password|ge|heim|status|disabled", "service|password|***"),
        ("rsyncd", r"service|password|ge\|heim|status|x", "service|password|***|status|x"),
        ("RootPassword", "geheim", "***"),
        ("SystemName", "myhost", "myhost"),
        ("empty", "", ""),
    ],
)
def test_secrets_are_shown_as_stars(key: str, stored: str, shown: str) -> None:
    assert esmith.masked(key, stored) == shown
