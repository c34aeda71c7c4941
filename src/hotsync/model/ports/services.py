"""Units, timers and cron as steps change them."""

from collections.abc import Sequence
from typing import Protocol


class Services(Protocol):
    """The platform's service manager and the mute."""

    def mute(self, units: Sequence[str]) -> None:
        """Keep these units from running here until promotion, and stop what runs."""
        ...

    def free(self, units: Sequence[str]) -> None:
        """Hold these units no more; nothing is started."""
        ...

    def permit(self) -> None:
        """Let muted units start in this boot only (/run/hotsync/promoting)."""
        ...

    def reload(self) -> None:
        """Make the service manager read its unit files anew."""
        ...

    def apply_settings(self) -> None:
        """Make kernel and services take the settings of /etc as a boot would; what fails is told and does not raise."""
        ...

    def start_all(self, units: Sequence[str]) -> None:
        """Start units in one transaction, in the order they ask for; one that fails is told and does not raise."""
        ...

    def restart_all(self, units: Sequence[str]) -> None:
        """Restart units that run, so that they read new settings; one that fails is told and does not raise."""
        ...

    def unmute(self) -> None:
        """Take the mute away for good; the role has changed."""
        ...
