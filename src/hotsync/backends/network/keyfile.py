"""GLib's key files, as NetworkManager keeps its profiles: sections, settings and where each one stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hotsync.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a profile."""

    section: str
    key: str
    value: str
    where: str

    def refuse(self, why: str = "is not understood") -> ConfigError:
        """Return the error that says that this setting cannot be taken; a value may be a secret and is not told."""
        return ConfigError(document=self.where, faults=f"[{self.section}] {self.key} {why}")

    @property
    def words(self) -> tuple[str, ...]:
        """Return the items of a list."""
        return tuple(word.strip() for word in self.value.replace(",", ";").split(";") if word.strip())

    @property
    def boolean(self) -> bool:
        """Return the value as a boolean; raise ConfigError if it is none."""
        if self.value not in ("true", "false", "1", "0"):
            raise self.refuse("is neither true nor false")
        return self.value in ("true", "1")

    @property
    def number(self) -> int:
        """Return the value as a number; raise ConfigError if it is none."""
        if not self.value.isdecimal():
            raise self.refuse("is no number")
        return int(self.value)


def settings_of(path: str, text: str) -> Iterator[Setting]:
    """Given a profile, return its settings; raise ConfigError at any other line."""
    section = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        where = f"/etc/{path} line {number}"
        if not line or line[0] == "#":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and section:
            key, _, value = line.partition("=")
            yield Setting(section, key.strip(), value.strip(), where)
        else:
            raise ConfigError(document=where, faults="this line is not understood")
