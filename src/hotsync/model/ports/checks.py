"""Checks as steps run them."""

from typing import Protocol


class Checks(Protocol):
    """The profiles' checks: real logins where a login is the use."""

    def run(self, name: str) -> None:
        """Run one check of the resolved profiles and record its verdict; a red one does not raise."""
        ...
