"""Whom ssh would call, as ssh itself and the kernel say it: a fence must never switch this very server off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.engine.fence.tiers import leads_here
from hotsync.system import command

pytestmark = pytest.mark.contract


@pytest.fixture
def own_address() -> Iterator[None]:
    """An interface of this host has an address, as a promoted server has the MASTER's."""
    command.run(["ip", "link", "add", "fence0", "type", "veth", "peer", "name", "fence1"])
    try:
        command.run(["ip", "link", "set", "fence1", "up"])
        command.run(["ip", "link", "set", "fence0", "up"])
        command.run(["ip", "address", "add", "192.0.2.10/24", "dev", "fence0"])
        command.run(["ip", "address", "add", "2001:db8:77::10/64", "dev", "fence0", "nodad"])
        yield
    finally:
        command.run(["ip", "link", "del", "fence0"])


@pytest.mark.usefixtures("own_address")
def test_an_address_that_this_server_has_taken_leads_here_and_its_neighbours_does_not() -> None:
    assert leads_here("192.0.2.10")
    assert leads_here("root@192.0.2.10")
    assert leads_here("2001:db8:77::10")
    assert not leads_here("192.0.2.11")
    assert not leads_here("2001:db8:77::11")


def test_a_name_that_the_masters_hosts_file_gives_to_the_server_itself_leads_here() -> None:
    """Debian's /etc/hosts says 127.0.1.1 of a host's own name."""
    assert leads_here("127.0.1.1")
    assert leads_here("localhost")
    assert not leads_here("nobody-has-this-name.invalid")


@pytest.mark.usefixtures("own_address")
def test_an_alias_of_ssh_is_followed() -> None:
    config = Path("/etc/ssh/ssh_config.d/hotsync-fence-test.conf")
    config.write_text("Host old-master\n    HostName 192.0.2.10\nHost other-master\n    HostName 192.0.2.11\n")
    try:
        assert leads_here("old-master")
        assert not leads_here("other-master")
    finally:
        config.unlink()
