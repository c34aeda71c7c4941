"""Streams of dnf's modules: which versions of packages can be had at all; what of the MASTER's is to be set here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hotsync.model.facts import PackageFact, StreamFact
from hotsync.model.packages.family import Order
from hotsync.model.packages.values import NotCarried, Package

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")


def parse_module(text: str) -> Iterator[StreamFact]:
    """Given a file of /etc/dnf/modules.d, return the modules that are enabled, or switched off, in it."""
    name, said = "", dict[str, str]()
    for line in (*(line.strip() for line in text.splitlines()), "[]"):
        if line.startswith("[") and line.endswith("]"):
            state, stream = said.get("state", ""), said.get("stream", "")
            if state == "disabled" or (state == "enabled" and stream):
                yield StreamFact(name, stream if state == "enabled" else "")
            name, said = line[1:-1].strip(), {}
        elif "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            said[key.strip()] = value.strip()


@dataclass(frozen=True, slots=True, order=True)
class Modular:
    """An installed package (by what names it here), and the stream of a module that it came with."""

    package: str
    module: str
    stream: str


@dataclass(frozen=True, slots=True)
class StreamDifferences:
    """What is to be set here, and what stays as it is, and why."""

    wanted: tuple[StreamFact, ...] = ()
    stays: tuple[NotCarried, ...] = ()


def stream_differences(
    master: Iterable[StreamFact], here: Iterable[StreamFact], own: Iterable[Modular]
) -> StreamDifferences:
    """Given the MASTER's modules, this server's, and the packages of this server's own that came with a stream, return
    what is to be done.

    Names come from the MASTER: one that is none is refused here and never reaches a command line.
    """
    ours = frozenset(here)
    standing = tuple(own)
    wanted: list[StreamFact] = []
    stays: list[NotCarried] = []
    for _, each in sorted({each.module: each for each in master}.items()):  # a module has one stream
        if not _WORD.fullmatch(each.module) or (each.stream and not _WORD.fullmatch(each.stream)):
            shown = f"{each}"[:100].encode("ascii", "replace").decode()
            stays.append(NotCarried(f"module {shown}", "its name is none that a module can have"))
        elif each in ours:
            continue
        elif other := sorted(one for one in standing if one.module == each.module and one.stream != each.stream):
            names = ", ".join(one.package for one in other[:3])
            stays.append(
                NotCarried(f"module {each}", f"this server's own {names} came with {each.module}:{other[0].stream}")
            )
        else:
            wanted.append(each)
    return StreamDifferences(tuple(wanted), tuple(stays))


def own_among(
    modular: Iterable[Modular],
    installed: Mapping[str, Package],
    told: Mapping[str, PackageFact],
    brought: Collection[str],
    order: Order,
) -> Iterator[Modular]:
    """Given the packages that came with streams, both sides' packages (held are those that this server holds for
    itself), and which hotsync-slave brought, return those that would stay behind on a stream that is enabled no more.

    What the MASTER has as well, and not older, follows its stream.
    """
    for each in modular:
        here, there = installed.get(each.package), told.get(each.package)
        follows = here and there and order(here.version, there.version) <= 0
        if here and (here.held or not (follows or each.package in brought)):
            yield each
