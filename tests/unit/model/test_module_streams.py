"""Streams of dnf's modules: what is read of them, and which of the MASTER's are set here."""

from __future__ import annotations

import pytest

from hotsync.backends.packages.module_streams import parse_labels, reason_of
from hotsync.model.facts import PackageFact, StreamFact
from hotsync.model.packages.module_streams import Modular, own_among, parse_module, stream_differences
from hotsync.model.packages.values import NotCarried, Package
from hotsync.model.packages.versions import compare_rpm

PG13, PG15 = StreamFact("postgresql", "13"), StreamFact("postgresql", "15")
SERVER = Modular("postgresql-server", "postgresql", "13")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[nodejs]\nname=nodejs\nprofiles=common\nstate=enabled\nstream=18\n", [StreamFact("nodejs", "18")]),
        ("[postgresql]\nname=postgresql\nprofiles=\nstate=disabled\nstream=\n", [StreamFact("postgresql")]),
        ("[php]\nname=php\nprofiles=\nstate=\nstream=\n", []),
        ("[php]\nname=php\nstate=enabled\nstream=\n", []),
        ("# by hand\n\n[a]\n stream = 1 \nstate=enabled\n[b]\nstate=disabled\nstream=2", [
            StreamFact("a", "1"), StreamFact("b"),
        ]),
        ("no section\nstate=enabled\nstream=1\n", [StreamFact("", "1")]),
        ("", []),
    ],
)  # fmt: skip
def test_a_file_of_dnfs_says_which_stream_is_enabled_or_that_the_module_is_switched_off(
    text: str, found: list[StreamFact]
) -> None:
    assert list(parse_module(text)) == found


def test_what_is_here_already_is_not_wanted_and_what_differs_is() -> None:
    master = (PG15, StreamFact("nodejs", "18"), StreamFact("php"))
    found = stream_differences(master, (PG13, StreamFact("nodejs", "18"), StreamFact("ruby", "3.1")), ())
    assert (found.wanted, found.stays) == ((StreamFact("php"), PG15), ())


def test_a_stream_stays_where_a_package_of_this_servers_own_came_with_it() -> None:
    found = stream_differences((PG15,), (PG13,), (SERVER, Modular("npm", "nodejs", "18")))
    assert found.wanted == ()
    assert found.stays == (
        NotCarried("module postgresql:15", "this server's own postgresql-server came with postgresql:13"),
    )
    same = Modular("postgresql-server", "postgresql", "15")
    assert stream_differences((PG15,), (), (same,)).wanted == (PG15,), "it came with just that stream"


@pytest.mark.parametrize(
    "fact",
    [StreamFact("--nogpgcheck", "1"), StreamFact("a", "-y"), StreamFact("../x", "1"), StreamFact("a:b", "1"),
     StreamFact("a", "1/x"), StreamFact("", "1"), StreamFact("a", "1\n"), StreamFact("*", "")],
)  # fmt: skip
def test_names_that_no_module_can_have_are_refused_by_name(fact: StreamFact) -> None:
    found = stream_differences((fact,), (), ())
    assert found.wanted == ()
    assert found.stays[0].reason == "its name is none that a module can have"


def test_a_module_has_one_stream_whatever_is_told() -> None:
    assert stream_differences((PG13, PG15), (), ()).wanted == (PG15,)


def test_own_is_what_would_stay_behind() -> None:
    def package(name: str, version: str, *, held: bool = False) -> Package:
        return Package(name, version, "x86_64", held=held)

    installed = {
        each.name: each
        for each in (package("both", "13"), package("newer", "16"), package("alone", "1"), package("brought", "1"),
                     package("held", "13", held=True))
    }  # fmt: skip
    told = {name: PackageFact(name, "15", "x86_64") for name in ("both", "newer", "held")}
    modular = [Modular(name, "m", "13") for name in (*installed, "gone")]
    found = own_among(modular, installed, told, {"brought"}, compare_rpm)
    assert [each.package for each in found] == ["newer", "alone", "held"]


def test_rpm_says_what_came_with_which_stream() -> None:
    text = "bash\tx86_64\t(none)\nnpm\tx86_64\tnodejs:18:9020:rhel9\nnpm\ti686\tnodejs:18:9020:rhel9\nodd\n"
    assert parse_labels(text, "x86_64") == (Modular("npm", "nodejs", "18"), Modular("npm:i686", "nodejs", "18"))


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (
            "Unable to resolve argument postgresql:99\nError: Problems in request:\n"
            "missing groups or modules: postgresql:99\n",
            "no repository of this server has that stream",
        ),
        (
            "Error: Problems in request:\nModular dependency problem:\n\n Problem: conflicting requests\n"
            "  - nothing provides module(perl:5.30) needed by module a-driver:1:1:c0ffee.x86_64\n",
            "nothing provides module(perl:5.30) needed by module a-driver:1:1:c0ffee.x86_64",
        ),
        (
            "Cannot enable more streams from module 'php' at the same time\nUnable to resolve argument php\n"
            "Error: Problems in request:\nbroken groups or modules: php\n",
            "Cannot enable more streams from module 'php' at the same time",
        ),
        ("Error: Failed to download metadata for repo 'x'\n", "Failed to download metadata for repo 'x'"),
        ("", "dnf did not say why"),
    ],
)
def test_why_dnf_did_not_set_a_module_is_said(errors: str, reason: str) -> None:
    assert reason_of("", errors) == reason
