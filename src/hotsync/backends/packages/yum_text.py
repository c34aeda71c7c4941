"""What yum 3 says otherwise than dnf, understood: pure."""

from __future__ import annotations

import re

OFFERED = r"%{name}\t%{epoch}:%{version}-%{release}\t%{arch}\t%{packagesize}\t%{installedsize}"
_ABORTED = "Exiting on user command"
_NOT_ALL = re.compile(r"^No package .* available\.?$|^Nothing to do$|^Error: ", re.MULTILINE | re.IGNORECASE)


def could_be_done(said: str) -> bool:
    """Given what `yum --assumeno install` said, return whether all that was asked for would be done.

    Unlike dnf it goes on without a package that it does not find.
    """
    return _ABORTED in said and not _NOT_ALL.search(said)


def parse_refusal(output: str, errors: str) -> tuple[str, ...]:
    """Given what yum printed when it would not do it, return its reasons: what a line begins, indented ones go on."""
    reasons: list[str] = []
    going_on = False
    for line in f"{output}\n{errors}".splitlines():
        if line.startswith("Error: ") or re.match(r"No package .* available", line):
            reasons.append(line.removeprefix("Error: ").strip())
            going_on = line.startswith("Error: Package: ")
        elif going_on and line.startswith("  ") and reasons:
            reasons[-1] += f", {line.strip()}"
        else:
            going_on = False
    return tuple(reasons[:3] or ["yum did not say why"])


def whole_rows(text: str) -> str:
    """Given a table, return it with rows that were too wide for a line, and went on in an indented one, in one."""
    return re.sub(r"\n[ \t]+(?=\S)", " ", text)


def spec(name: str, version: str) -> str:
    """Given what names a package here and its version, return the word that means it.

    yum takes an epoch only where an architecture is named; without, the version alone says it.
    """
    bare, _, architecture = name.partition(":")
    if architecture:
        return f"{bare}-{version}.{architecture}"
    return f"{bare}-{version.rpartition(':')[2]}"


def lock(name: str, version: str) -> str:
    """Given an installed package, return its line in the list of locks."""
    epoch, _, rest = version.rpartition(":")
    return f"{epoch or '0'}:{name.partition(':')[0]}-{rest}.*"


def package_of(folder: str) -> tuple[str, str] | None:
    """Given the name of a folder of yumdb, return name and architecture of its package, None if it is none.

    It is made of a checksum, name, version, release and architecture.
    """
    match = re.match(r"^[0-9a-f]{32,64}-(.+)-[^-]+-[^-]+-([^-]+)\Z", folder)
    return (match[1], match[2]) if match else None
