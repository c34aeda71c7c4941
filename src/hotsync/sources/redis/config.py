"""What a Redis server's configuration file says, as far as HotSync must know it. Its form is the server's own."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.model.secret import Secret

_DEEPEST = 8
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_ALL = frozenset(("*", "0.0.0.0", "::", "::*"))  # noqa: S104 - words of a configuration, nothing listens here


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to get in, and where the server keeps what it keeps. `keeps` is False for a mere cache."""

    address: str = "127.0.0.1"
    port: int = 6379
    socket: str = ""
    tls_only: bool = False
    password: Secret = field(default_factory=lambda: Secret(""))
    folder: str = ""
    dump: str = "dump.rdb"
    append_only: bool = False
    append_folder: str = "appendonlydir"
    append_name: str = "appendonly.aof"
    keeps: bool = True
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def files(self) -> tuple[str, ...]:
        """Return what lies in the folder and is the server's own."""
        if not self.folder.startswith("/"):
            return ()
        return tuple(f"{self.folder.rstrip('/')}/{name}" for name in (self.dump, self.append_folder, self.append_name))


def read_settings(path: str, folder: str = "") -> RedisSettings:
    """Given a configuration file (and the folder that its server works in, if known), return what it says.

    Raise OSError, or ValueError where a number is none.
    """
    said: dict[str, list[str]] = {}
    saves: list[str] | None = None
    renamed: dict[str, str] = {}
    for name, words in _lines(Path(path), _DEEPEST):
        if name == "save":
            # one that says nothing forgets those before it
            saves = [*(saves or []), *words] if any(words) else []
        elif name == "rename-command" and len(words) == 2:
            renamed[words[0].upper()] = words[1]
        else:
            said[name] = words
    port = int(_first(said, "port", "6379"))
    append_only = _first(said, "appendonly", "no") == "yes"
    named = _first(said, "dir", "")
    return RedisSettings(
        address=_address(said.get("bind", [])),
        port=port,
        socket=_first(said, "unixsocket", ""),
        tls_only=port == 0 and int(_first(said, "tls-port", "0")) > 0 and "unixsocket" not in said,
        password=Secret(_first(said, "requirepass", "")),
        folder=os.path.normpath(os.path.join(folder or ".", named)) if named or folder else "",
        dump=_first(said, "dbfilename", "dump.rdb"),
        append_only=append_only,
        append_folder=_first(said, "appenddirname", "appendonlydir"),
        append_name=_first(said, "appendfilename", "appendonly.aof"),
        keeps=append_only or saves is None or bool(saves),
        renamed=renamed,
    )


def split_words(line: str) -> list[str]:
    """Given a line, return its words: bare, in double quotes with escapes, or in single quotes; raise ValueError."""
    words: list[str] = []
    rest = line.strip()
    while rest:
        word, rest = _quoted(rest) if rest[0] in "\"'" else _bare(rest)
        words.append(word)
        rest = rest.lstrip()
    return words


def _bare(text: str) -> tuple[str, str]:
    word, _, rest = text.replace("\t", " ").partition(" ")
    return word, rest


def _quoted(text: str) -> tuple[str, str]:
    mark, word, position = text[0], "", 1
    while position < len(text):
        sign = text[position]
        if sign == mark:
            return word, text[position + 1 :]
        following = text[position + 1 : position + 2]
        if sign == "\\" and mark == '"' and text[position + 1 : position + 2] == "x":
            word += chr(int(text[position + 2 : position + 4], 16))
            position += 4
        elif sign == "\\" and (mark == '"' or following == "'"):
            word += _ESCAPES.get(following, following) if mark == '"' else following
            position += 2
        else:
            word += sign
            position += 1
    raise ValueError("a quotation mark is not closed")


def _lines(path: Path, depth: int) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        words = split_words(line)
        if words[0].lower() != "include":
            yield words[0].lower(), words[1:]
        elif depth:
            for other in sorted(glob.glob(words[1])) if len(words) > 1 else ():
                yield from _lines(Path(other), depth - 1)


def _first(said: Mapping[str, list[str]], name: str, default: str) -> str:
    return next(iter(said.get(name, [])), default)


def _address(bind: list[str]) -> str:
    """Return an address at which the server can be reached from here."""
    named = [word.lstrip("-") for word in bind]
    if not named or "127.0.0.1" in named or not _ALL.isdisjoint(named):
        return "127.0.0.1"
    return named[0]
