"""Which paths of a run the SLAVE's words mean: each of them some, and never anything that is not of the run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.entry import sort_key
from hotsync.model.unstored import Meant, Unstored

LONG, UMLAUTS = "n" * 250, "ü" * 120
RUN = sorted(
    ("srv", "srv/a", "srv/.a", "srv/b", "srv/.c.ABCDEF", "srv/.bashrc", "srv/d", "srv/d/e", "srv/d/e/f", "srv/d!",
     f"srv/{LONG}", f"srv/{UMLAUTS}", "home/x/y/z", "home/x/w", "a", ".profile"),
    key=sort_key,
)  # fmt: skip


def word(*paths: str, unmade: bool = False) -> Unstored:
    return Unstored(paths, "why", unmade)


def meant(*words: Unstored) -> tuple[set[str], set[Unstored]]:
    asked = Meant(words)
    found = {path for path in RUN if asked.reason(path) is not None}
    return found, set(asked.unknown)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("srv/b", {"srv/b"}),
        ("srv/.b.x1Y2z3", {"srv/b"}),
        ("srv/.a.x1Y2z3", {"srv/a", "srv/.a"}),  # one of the two, and nobody knows which
        ("srv/.c.ABCDEF", {"srv/.c.ABCDEF"}),
        ("srv/.c.ABCDEF.x1Y2z3", {"srv/.c.ABCDEF"}),
        (".a.x1Y2z3", {"a"}),
        (".profile.x1Y2z3", {".profile"}),
        (f"srv/.{LONG[:246]}.x1Y2z3", {f"srv/{LONG}"}),
        ("srv/.x1Y2z3", {f"srv/{LONG}", f"srv/{UMLAUTS}"}),
        ("srv/..x1Y2z3", {f"srv/{LONG}", f"srv/{UMLAUTS}"}),
        ("srv/.bashrc", {"srv/.bashrc"}),
        ("a/.x1Y2z3", set()),
        ("srv/d", {"srv/d"}),  # what is in it goes with it only if the SLAVE does not have it
        ("home/x", {"home/x/w", "home/x/y/z"}),  # it is no path of this run: it was not made
        ("home", {"home/x/w", "home/x/y/z"}),
        ("", set()),
        (".", set()),
        ("/etc/passwd", set()),
        ("../srv/a", set()),
        ("srv/b/", set()),
    ],
)
def test_words_choose_among_the_paths_of_the_run(path: str, wanted: set[str]) -> None:
    said = word(path)
    assert meant(said) == (wanted, set() if wanted else {said})


def test_a_folder_that_was_not_made_takes_along_what_is_in_it() -> None:
    assert meant(word("srv/d", unmade=True))[0] == {"srv/d", "srv/d/e", "srv/d/e/f"}


def test_all_words_about_one_name_are_understood() -> None:
    words = [word(f"srv/{path}") for path in (".a.aaaaaa", ".a.bbbbbb", ".aaaaaa", "..bbbbbb")]
    assert meant(*words, word("x", "srv/b")) == ({"srv/a", "srv/.a", "srv/b", f"srv/{LONG}", f"srv/{UMLAUTS}"}, set())


@given(st.lists(st.text(alphabet="/.abcdABCDEF srv\n", max_size=20), max_size=5), st.booleans())
def test_whatever_is_said_nothing_else_is_meant(paths: list[str], unmade: bool) -> None:
    found, unknown = meant(*(word(path, unmade=unmade) for path in paths))
    assert found <= set(RUN)
    assert bool(found) is (len(unknown) < len(set(paths)))
