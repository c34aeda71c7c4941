from __future__ import annotations

from hotsync.model.locale_names import lacking, normal, parse_locale_gen, supported

LIST = """# This file lists locales
it_IT.UTF-8 UTF-8
it_IT@euro ISO-8859-15
# de_DE.UTF-8 UTF-8
sr_RS@latin UTF-8  # remark
"""


def test_a_name_is_compared_as_the_system_lists_it() -> None:
    assert normal("it_IT.UTF-8") == "it_IT.utf8"
    assert normal("de_DE.ISO-8859-15@euro") == "de_DE.iso885915@euro"
    assert normal("it_IT") == "it_IT"


def test_what_is_lacking_is_told_once_and_what_is_built_in_is_never_lacking() -> None:
    wanted = ["it_IT.UTF-8", "C", "C.UTF-8", "POSIX", "", "en_US.utf8", "it_IT.UTF-8"]
    assert lacking(wanted, {"C", "POSIX", "en_US.utf8"}) == ("it_IT.UTF-8",)


def test_a_list_of_locales_is_read_without_its_remarks() -> None:
    assert parse_locale_gen(LIST) == {"it_IT.UTF-8": "UTF-8", "it_IT@euro": "ISO-8859-15", "sr_RS@latin": "UTF-8"}


def test_only_what_the_list_has_can_be_made_whatever_a_master_calls_it() -> None:
    known = parse_locale_gen(LIST)
    assert supported("it_IT.utf8", known) == ("it_IT.UTF-8", "UTF-8")
    assert supported("../../etc", known) is None
