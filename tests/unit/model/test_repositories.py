"""The MASTER's source files are read without trust: what could be said in them that a SLAVE must not believe."""

from __future__ import annotations

import pytest

from hotsync.model.packages.repositories import Repository, new_here, parse_deb822, parse_list, render_list

DEBIAN = Repository("http://mirror.example/debian", "bookworm", ("main",))


def test_the_one_line_form_is_read_with_its_options() -> None:
    found, refused = parse_list(
        "# a comment\n"
        "deb http://mirror.example/debian bookworm main # ours\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb [arch=amd64,arm64 signed-by=/etc/apt/keyrings/app.gpg] https://apps.example/deb stable app extra\n"
        "deb file:/srv/repo ./\n"
    )
    assert refused == []
    keyring = "/etc/apt/keyrings/app.gpg"
    app = Repository("https://apps.example/deb", "stable", ("app", "extra"), ("amd64", "arm64"), keyring)
    assert found == [DEBIAN, app, Repository("file:/srv/repo", "./", ())]


def test_the_form_of_stanzas_is_read_with_keys_inside_and_what_is_disabled_is_not() -> None:
    found, refused = parse_deb822(
        "Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\n"
        "# two\nTypes: deb\nURIs: https://apps.example\nSuites: ./\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: x\nComponents: y\n"
    )
    assert refused == []
    assert [each.suite for each in found] == ["bookworm", "bookworm-updates", "./"]
    assert found[2].has_inline_key
    assert "\n\nabc\n" in found[2].keyring


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("deb [trusted=yes] http://evil.example ./", "signatures"),
        ("deb [allow-insecure=yes] http://evil.example ./", "signatures"),
        ("deb [signed-by=/etc/apt/keyrings/../../shadow] http://evil.example x y", "keys"),
        ("deb [signed-by=/root/key.gpg] http://evil.example x y", "keys"),
        ("deb [arch=$(reboot)] http://evil.example x y", "architecture"),
        ("deb cdrom:[Debian]/ bookworm main", "address"),
        ("deb copy:/etc x", "address"),
        ("deb http://evil.example/`x` x", "address"),
        ("deb http://evil.example x;y", "suite"),
    ],
)
def test_what_is_unsafe_or_not_understood_is_refused_with_the_reason(line: str, why: str) -> None:
    found, refused = parse_list(line)
    assert found == []
    assert why in refused[0].reason


def test_unsafe_stanzas_are_refused_too() -> None:
    found, refused = parse_deb822("Types: deb\nURIs: http://evil.example\nSuites: ./\nTrusted: yes\n")
    assert (found, len(refused)) == ([], 1)


def test_only_what_is_not_here_is_new_and_what_is_written_reads_back() -> None:
    other = Repository("https://apps.example/deb", "stable", ("app",), ("amd64",), "/etc/apt/keyrings/app.gpg")
    slash = Repository("http://mirror.example/debian/", "bookworm", ("main",))
    assert new_here([DEBIAN, other, other], [slash]) == (other,)
    text = render_list([(other, ("/etc/apt/keyrings/hotsync-1.gpg",)), (DEBIAN, ())])
    found, refused = parse_list(text)
    assert refused == []
    assert [each.identity for each in found] == [other.identity, DEBIAN.identity]
    assert found[0].keyring == "/etc/apt/keyrings/hotsync-1.gpg"
