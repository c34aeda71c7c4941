"""Kernel settings on which services depend, each with the reason, and who sets some of them by himself."""

from __future__ import annotations

WATCHED: dict[str, str] = {
    "fs.aio-max-nr": "database servers ask for it",
    "kernel.msgmnb": "queues between processes",
    "kernel.sem": "database servers ask for it",
    "kernel.shmall": "memory that database servers share",
    "kernel.shmmax": "memory that database servers share",
    "kernel.unprivileged_userns_clone": "containers of users",
    "net.bridge.bridge-nf-call-iptables": "the firewall of containers and virtual machines",
    "net.core.somaxconn": "how many clients may wait at a server",
    "net.ipv4.conf.all.rp_filter": "packets that come in by another way",
    "net.ipv4.ip_forward": "routing for others",
    "net.ipv4.ip_nonlocal_bind": "servers that listen at addresses that come later",
    "net.ipv4.ip_unprivileged_port_start": "servers of users at low ports",
    "net.ipv6.conf.all.disable_ipv6": "IPv6",
    "net.ipv6.conf.all.forwarding": "routing for others",
    "net.ipv6.ip_nonlocal_bind": "servers that listen at addresses that come later",
    "vm.max_map_count": "search and database servers ask for it",
    "vm.nr_hugepages": "database servers ask for it",
    "vm.overcommit_memory": "Redis and database servers ask for it",
    "vm.overcommit_ratio": "how much memory may be promised",
}

_FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.bridge.bridge-nf-call-iptables")
SET_BY: dict[str, tuple[str, ...]] = dict.fromkeys(
    _FORWARDING, ("docker.service", "libvirtd.service", "virtnetworkd.service", "lxc-net.service", "lxd.service",
                  "incus.service", "k3s.service", "kubelet.service"))  # fmt: skip
"""Units that set a setting when they start."""
