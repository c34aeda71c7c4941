"""netplan's words: kinds of interfaces, settings that are understood, and those of bonds and bridges."""

from __future__ import annotations

SECTIONS = ("ethernets", "wifis", "bonds", "vlans", "bridges", "tunnels")

OPAQUE = frozenset((
    "renderer", "optional", "optional-addresses", "critical", "dhcp-identifier", "dhcp4-overrides", "dhcp6-overrides",
    "emit-lldp", "ipv6-address-generation", "ipv6-address-token", "ipv6-mtu", "ipv6-privacy", "link-local",
    "macaddress", "wakeonlan", "ignore-carrier", "routing-policy", "neigh-suppress", "auth", "access-points",
    "regulatory-domain", "set-name", "receive-checksum-offload", "transmit-checksum-offload",
    "tcp-segmentation-offload", "tcp6-segmentation-offload", "generic-segmentation-offload",
    "generic-receive-offload", "large-receive-offload", "activation-mode",
))  # fmt: skip
"""Settings of every interface that are understood and have no meaning here."""

TUNNEL = frozenset(["mode", "local", "remote", "ttl", "key", "keys", "port", "peers", "mark", "id", "link", "hairpin"])
"""Settings of tunnels: their meaning is not needed."""

BOND_WORDS = {
    "ad_select": "ad-select",
    "all_slaves_active": "all-slaves-active",
    "arp_all_targets": "arp-all-targets",
    "arp_interval": "arp-interval",
    "arp_ip_target": "arp-ip-targets",
    "arp_validate": "arp-validate",
    "downdelay": "down-delay",
    "fail_over_mac": "fail-over-mac-policy",
    "lacp_rate": "lacp-rate",
    "lp_interval": "learn-packet-interval",
    "miimon": "mii-monitor-interval",
    "min_links": "min-links",
    "num_grat_arp": "gratuitous-arp",
    "packets_per_slave": "packets-per-slave",
    "primary_reselect": "primary-reselect-policy",
    "resend_igmp": "resend-igmp",
    "updelay": "up-delay",
    "xmit_hash_policy": "transmit-hash-policy",
}
BRIDGE_WORDS = {
    "ageing_time": "ageing-time",
    "forward_delay": "forward-delay",
    "hello_time": "hello-time",
    "max_age": "max-age",
    "priority": "priority",
}
BRIDGE_PORTS = ("path-cost", "port-priority")
"""Parameters of a bridge that name its ports; they are kept as they are."""

ID, SECTION = "its id", "its section"
"""Options that are no settings: what the files call an interface where that is not its name, and where it stands."""

YES, NO = ("true", "yes", "on", "y"), ("false", "no", "off", "n")
