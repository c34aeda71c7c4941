"""Users and groups as steps change them."""

from typing import Protocol


class Accounts(Protocol):
    """The MASTER's accounts on the SLAVE, by the MASTER's numbers."""

    def take_numbers(self) -> None:
        """Give every account of the last generation its number here, moving this host's own out of the way first."""
        ...
