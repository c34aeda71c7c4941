"""The two families of packages: which names and versions they know, how they order them, what they run on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hotsync.model.facts import PackageFact
from hotsync.model.packages.versions import compare_debian, compare_rpm

Order = Callable[[str, str], int]
"""Given two versions, return -1, 0 or 1."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family: how it is called, what its names and versions look like, the word for what fits every processor."""

    title: str
    name: re.Pattern[str]
    version: re.Pattern[str]
    order: Order
    everywhere: str


DEBIAN = Family(
    "Debian's",
    re.compile(r"^[a-z0-9][a-z0-9+.-]{0,99}\Z"),
    re.compile(r"^[0-9][A-Za-z0-9.+:~-]{0,199}\Z"),
    compare_debian,
    "all",
)
RPM = Family(
    "Red Hat's (RPM)",
    re.compile(r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,99}\Z"),
    re.compile(r"^[A-Za-z0-9][A-Za-z0-9.+:~^_-]{0,199}\Z"),
    compare_rpm,
    "noarch",
)

ALSO_RUNS = {"amd64": ("i386",), "arm64": ("armhf",), "x86_64": ("i686",)}
"""What a processor runs besides: packages of it may be carried."""


def family_of(packages: Iterable[PackageFact]) -> Family | None:
    """Given what the MASTER has, return which family that is; None if it cannot be told."""
    architectures = {package.architecture for package in packages}
    if DEBIAN.everywhere in architectures:
        return DEBIAN
    return RPM if RPM.everywhere in architectures else None


def identity(name: str, architecture: str, native: str) -> str:
    """Given a package and the host's own architecture, return what names it there: `name`, or `name:architecture`."""
    return name if architecture in (native, DEBIAN.everywhere, RPM.everywhere) else f"{name}:{architecture}"
