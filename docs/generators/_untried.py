"""Why an application whose Debian package a profile names is not tried in the lab."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_PACKAGE = "Debian 12 has no package of it; its maker's is not to be had in the lab."

UNTRIED: Mapping[str, str] = MappingProxyType(
    {
        "asterisk": "Debian 12 has no package of it.",
        "exim": "Debian installs it only in the place of Postfix, which the lab's servers have.",
        "freepbx": "Debian 12 has neither Asterisk nor FreePBX; FreePBX's own packages are not to be had in the lab.",
        "gitea": NO_PACKAGE,
        "grafana": NO_PACKAGE,
        "jellyfin": NO_PACKAGE,
        "mysql": "Debian 12 has no package of it; that of Debian's unstable is tried without a lab.",
        "nfs-server": "The lab's kernel has no NFS server, which is the program that would have to answer.",
        "ntopng": "Debian 12 has no package of it.",
        "plex": NO_PACKAGE,
        "subscription": "What Ubuntu alone has, and Ubuntu's servers know.",
        "suricata": "Debian 12 has only suricata-update, of which nothing runs.",
        "vaultwarden": NO_PACKAGE,
    }
)
"""Profiles that name a package of Debian's or its relatives, and have no file in tests/lab/applications/data."""
