"""What the value of a setting may look like: each kind says which values it takes and turns the text into one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hotsync.model.identity import Role
from hotsync.model.secret import Secret

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_RELAY = re.compile(r"\[(?P<six>[^]]*)\](:(?P<p6>.*))?|(?P<host>[^:]*)(:(?P<port>[^:]*))?|(?P<bare>.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Kind(Protocol):
    """A kind of value."""

    @property
    def allowed(self) -> str:
        """Return for people which values are allowed."""
        ...

    def parse(self, text: str) -> object:
        """Given the text of a prop, return its value; raise ValueError with a sentence that says what is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail is handed over by SMTP."""

    host: str
    port: int = 25


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a range."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        """Return the range."""
        return f"{self.low} to {self.high}"

    def parse(self, text: str) -> int:
        """Given decimal digits, return the number."""
        if not re.fullmatch("[0-9]{1,15}", text) or not self.low <= int(text) <= self.high:
            raise ValueError(f"{shown(text)} is not a whole number from {self.low} to {self.high}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words, each with what it stands for."""

    words: Mapping[str, object]

    @property
    def allowed(self) -> str:
        """Return the words."""
        return ", ".join(f"`{word}`" for word in self.words if word)

    def parse(self, text: str) -> object:
        """Given a word, return what it stands for."""
        if text not in self.words:
            raise ValueError(f"{shown(text)} is none of {', '.join(word for word in self.words if word)}")
        return self.words[text]


@dataclass(frozen=True, slots=True)
class Host:
    """The address of another server: IPv4, IPv6 or a host name, never this server itself."""

    allowed: str = "an IPv4 or IPv6 address or a host name of another server"

    def parse(self, text: str) -> str:
        """Given an address, return it."""
        if text:
            check_host(text)
            if is_local(text):
                raise ValueError(f"{shown(text)} is no address of another server")
        return text


@dataclass(frozen=True, slots=True)
class IpAddress:
    """The address of another machine that is the same on every wire: neither a name nor link-local."""

    allowed: str = "an IPv4 or IPv6 address of another machine"

    def parse(self, text: str) -> str:
        """Given an address, return it in its one form."""
        if not text:
            return ""
        address = _address(text)
        if address is None or "%" in text:
            raise ValueError(f"{shown(text)} is no IPv4 or IPv6 address")
        if is_local(text) or address.is_link_local:
            raise ValueError(f"{shown(text)} is no address by which one other machine is known")
        return str(address)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host and a TCP port; an IPv6 address in brackets."""

    allowed: str = "HOST:PORT or [IPv6]:PORT"

    def parse(self, text: str) -> str:
        """Given `host:port`, return it."""
        host, colon, port = text.rpartition(":")
        if text:
            if not colon or (":" in host) != (host.startswith("[") and host.endswith("]")):
                raise ValueError(f"{shown(text)} is not HOST:PORT")
            check_host(host[1:-1] if ":" in host else host)
            Number(1, 65535).parse(port)
        return text


@dataclass(frozen=True, slots=True)
class RelayHost:
    """A host, with a port behind a colon if it is not 25; an IPv6 address in brackets then."""

    allowed: str = "HOST, HOST:PORT or [IPv6]:PORT"

    def parse(self, text: str) -> Relay | None:
        """Given `host[:port]`, return it in its parts."""
        if not text:
            return None
        found = _RELAY.fullmatch(text)
        assert found is not None
        host = found["six"] or found["host"] or found["bare"] or ""
        check_host(host)
        port = found["p6"] if found["p6"] is not None else found["port"]
        return Relay(host, Number(1, 65535).parse(port) if port is not None else 25)


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """An hour and a minute."""

    allowed: str = "HH:MM, 00:00 to 23:59"

    def parse(self, text: str) -> str:
        """Given `HH:MM`, return it."""
        if not re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", text):
            raise ValueError(f"{shown(text)} is no time of day")
        return text


@dataclass(frozen=True, slots=True)
class Text:
    """Text on one line."""

    allowed: str

    def parse(self, text: str) -> str:
        """Given text, return it."""
        if _UNPRINTABLE.search(text):
            raise ValueError("it holds a newline or another unprintable character")
        return text


@dataclass(frozen=True, slots=True)
class Names:
    """Several names, with commas between them."""

    allowed: str

    def parse(self, text: str) -> frozenset[str]:
        """Given a list, return its names."""
        if _UNPRINTABLE.search(text):
            raise ValueError("it holds a newline or another unprintable character")
        return frozenset(name for each in text.split(",") if (name := each.strip()))


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret; what is wrong with it is said without showing it."""

    allowed: str = "any text on one line"

    def parse(self, text: str) -> Secret:
        """Given a password, return it as a Secret."""
        if _UNPRINTABLE.search(text):
            raise ValueError("it holds a newline (a backslash followed by n, too) or another unprintable character")
        return Secret(text)


class Databases(StrEnum):
    """What is done with the database servers of a MASTER."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    STREAMING = "streaming"

    @property
    def carried(self) -> bool:
        """Return whether databases are carried at all."""
        return self is not Databases.DISABLED


SWITCH = Word({"enabled": True, "disabled": False})
DATABASES = Word({"enabled": Databases.ENABLED, "disabled": Databases.DISABLED, "streaming": Databases.STREAMING})
YES_NO = Word({"yes": True, "no": False})
NO_ANSWER = Word({"start": True, "hold": False})
ROLE = Word({"": Role.NONE, "master": Role.MASTER, "slave": Role.SLAVE})


def shown(text: str) -> str:
    """Return a wrong value as a fault quotes it, short and on one line."""
    clean = _UNPRINTABLE.sub("?", text)
    return f"`{clean[:60]}...`" if len(clean) > 63 else f"`{clean}`"


def check_host(text: str) -> None:
    """Raise ValueError if this is neither an address nor a host name."""
    if _address(text) is not None and not _UNPRINTABLE.search(text):
        return
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{shown(text)} is neither an IPv4 or IPv6 address nor a host name")
    if labels[-1].isdigit():
        raise ValueError(f"{shown(text)} looks like an IPv4 address but is none")


def is_local(text: str) -> bool:
    """Given an address or host name, return whether it can only mean this server (or no server at all)."""
    address = _address(text)
    if address is None:
        name = text.removesuffix(".").lower()
        return name in ("localhost", "localhost.localdomain", "localhost6", "ip6-localhost") or name.endswith(
            ".localhost"
        )
    return address.is_loopback or address.is_unspecified or address.is_multicast or int(address) == 0xFFFFFFFF


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
