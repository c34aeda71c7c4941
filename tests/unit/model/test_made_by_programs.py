"""What container programs and hypervisors make for themselves is known by their own names, to the letter."""

from __future__ import annotations

import pytest

from hotsync.model.network.values import is_made_by_programs


@pytest.mark.parametrize(
    "name",
    [
        "docker0",
        "docker_gwbridge",
        "br-0123456789ab",
        "virbr0",
        "virbr12",
        "virbr0-nic",
        "lxcbr0",
        "lxdbr0",
        "podman0",
        "podman12",
        "cni0",
        "cni-podman0",
        "veth1a2b3c4",
        "veth0011aabb",
    ],
)
def test_names_of_programs(name: str) -> None:
    assert is_made_by_programs(name)
    assert not is_made_by_programs(name, {name})  # a file makes it
    assert is_made_by_programs(name, {"br0"})


@pytest.mark.parametrize(
    "name",
    [
        "br-lan",
        "br-0123456789abc",
        "br-0123456789AB",
        "br-dmz",
        "br0",
        "dockerlan",
        "docker-lan",
        "cnidmz",
        "virbr",
        "podmanlan",
        "veth0",
        "vethlan",
        "eth0",
        "docker0.5",
        "docker0\n",
        "",
    ],
)
def test_names_of_administrators(name: str) -> None:
    assert not is_made_by_programs(name)
