"""The records that an installed HotSync has from the first day, with the original's types and defaults."""

from __future__ import annotations

from collections.abc import Mapping

RECORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "hotsync": (
        "configuration",
        {
            "status": "enabled",
            "role": "",
            "SlaveHost": "",
            "SlavePort": "273",
            "MasterHost": "",
            "databases": "enabled",
        },
    ),
    "rsyncd": ("service", {"TCPPort": "873", "password": "", "status": "disabled"}),
    "stunnel": ("service", {"TCPPort": "273", "access": "", "status": "disabled"}),
}
