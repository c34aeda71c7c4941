"""How a host is set, read from files as they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.model.facts import SysctlFact
from hotsync.sources.system_facts import FIREWALL, available_modules, key_of, parse_sysctl, read_system
from hotsync.system.paths import Paths


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward"),
        ("-net.ipv4.ip_forward=1", "net.ipv4.ip_forward"),
        ("net/ipv4/conf/eth0.100/forwarding=1", "net.ipv4.conf.eth0/100.forwarding"),
        ("net.ipv4.conf.eth0/100.forwarding=1", "net.ipv4.conf.eth0/100.forwarding"),
    ],
)
def test_a_setting_is_known_by_one_name_however_it_is_written(line: str, key: str) -> None:
    assert list(parse_sysctl(line)) == [key]
    assert key_of("net/ipv4/conf/eth0.100/forwarding") == "net.ipv4.conf.eth0/100.forwarding"


def test_remarks_and_wildcards_set_nothing_that_can_be_compared() -> None:
    assert list(parse_sysctl("# vm.swappiness=1\n; x=1\n\nnet.ipv4.conf.*.rp_filter = 2\n-kernel.core_pattern\n")) == []


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_host_tells_what_files_set_and_what_services_depend_on_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "proc/sys/vm/overcommit_memory", "1\n")
    write(tmp_path, "proc/sys/vm/swappiness", "10\n")
    write(tmp_path, "proc/sys/kernel/sem", "32000\t1024000000\t500\t32000\n")
    write(tmp_path, "proc/sys/kernel/random/uuid", "changes each time\n")
    write(tmp_path, "usr/lib/sysctl.d/10-a.conf", "vm.swappiness = 60\nnot.there = 1\n")
    write(tmp_path, "etc/sysctl.d/20-b.conf", "vm.swappiness = 10\n")
    write(tmp_path, "proc/modules", "nf_tables 1 0 - Live 0x0\next4 1 0 - Live 0x0\n")
    write(tmp_path, "etc/default/locale", '# by hand\nLANG="it_IT.UTF-8"\n')
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/Europe/Rome")
    found = read_system(Paths(tmp_path))
    assert found.sysctl == (
        SysctlFact("kernel.sem", "32000 1024000000 500 32000"),
        SysctlFact("vm.overcommit_memory", "1"),
        SysctlFact("vm.swappiness", "10", "/etc/sysctl.d/20-b.conf"),
    )
    assert (found.locale, found.timezone, found.modules) == ("it_IT.UTF-8", "Europe/Rome", ("nf_tables",))


def test_the_modules_of_a_kernel_are_those_in_files_built_in_and_loaded(tmp_path: Path) -> None:
    write(tmp_path, "lib/modules/6.1/modules.dep", "kernel/net/nft-ct.ko.xz: kernel/net/nf_tables.ko.xz\n")
    write(tmp_path, "lib/modules/6.1/modules.builtin", "kernel/net/x_tables.ko\n")
    write(tmp_path, "proc/modules", "own 1 0 - Live 0x0\n")
    assert available_modules(Paths(tmp_path), "6.1") == {"nft_ct", "x_tables", "own"}
    assert available_modules(Paths(tmp_path), "7.0") == {"own"}


@pytest.mark.parametrize(
    "name", ["nf_tables", "nft_ct", "xt_set", "ip_tables", "ip6_tables", "ip_set_hash_net", "ebtable_nat"]
)
def test_modules_of_firewalls_are_known(name: str) -> None:
    assert FIREWALL.match(name)


@pytest.mark.parametrize("name", ["ext4", "nfs", "ipmi_si", "xfs", "ip_gre"])
def test_other_modules_are_not_taken_for_a_firewalls(name: str) -> None:
    assert FIREWALL.match(name) is None


@pytest.mark.parametrize(
    ("file", "text", "key"),
    [
        ("etc/ufw/sysctl.conf", "#net/ipv4/ip_forward=0\nnet/ipv4/ip_forward=1\n", "net.ipv4.ip_forward"),
        ("etc/shorewall/shorewall.conf", "STARTUP_ENABLED=Yes\nIP_FORWARDING=On\n", "net.ipv4.ip_forward"),
        ("etc/shorewall6/shorewall6.conf", "STARTUP_ENABLED=Yes\nIP_FORWARDING=Yes\n", "net.ipv6.conf.all.forwarding"),
    ],
)
@pytest.mark.parametrize("starts", [True, False])
def test_a_setting_that_a_firewalls_own_file_sets_is_not_one_that_nothing_sets(
    tmp_path: Path, file: str, text: str, key: str, starts: bool
) -> None:
    """A router by ufw or Shorewall left its SLAVE amber for ever."""
    write(tmp_path, f"proc/sys/{key.replace('.', '/')}", "1\n")
    write(tmp_path, file, text if starts else text.replace("STARTUP_ENABLED=Yes", "STARTUP_ENABLED=No"))
    write(tmp_path, "etc/ufw/ufw.conf", f"ENABLED={'yes' if starts else 'no'}\n")
    (found,) = read_system(Paths(tmp_path)).sysctl
    assert (found.key, found.source) == (key, f"/{file}" if starts else "")
