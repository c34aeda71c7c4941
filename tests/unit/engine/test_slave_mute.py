"""What production is on a SLAVE: units, and the programs that serve it, wherever their package keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hotsync.backends.mute import Mute
from hotsync.engine.slave_mute import Production, read_production
from hotsync.model.facts import MasterFacts, PackageFact
from hotsync.system.paths import Paths

STATUS = """\
Package: mariadb-server
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)
Pre-Depends: adduser
Depends: mariadb-client (>= 1:10.11), mariadb-server-core (>= 1:10.11.14-0+deb12u2), lsof, init-of-it

Package: mariadb-server-core
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)

Package: mariadb-client
Status: install ok installed
Priority: optional
Source: mariadb (1:10.11.14-0+deb12u2)

Package: lsof
Status: install ok installed
Priority: optional

Package: init-of-it
Status: install ok installed
Priority: important
Source: mariadb
"""
FILES = {
    "mariadb-server": ["/usr/lib/systemd/system/mariadb.service", "/usr/sbin/galera_helper"],
    "mariadb-server-core": ["/usr/sbin/mariadbd"],
    "mariadb-client": ["/usr/lib/mariadb/ask"],
    "lsof": ["/usr/sbin/lsof"],
    "init-of-it": ["/usr/lib/init"],
}


def production_of(root: Path) -> Production:
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    for package, files in FILES.items():
        (info / f"{package}.list").write_text("\n".join(files) + "\n")

    def systemctl(words: Sequence[str]) -> str:
        del words
        return ""

    paths = Paths(root)
    facts = MasterFacts(packages=(PackageFact("mariadb-server", "1:10.11.14-0+deb12u2", "amd64", manual=True),))
    return read_production(paths, Mute(paths, systemctl), facts)


def test_a_server_whose_program_lies_in_a_sibling_of_its_package_is_production(tmp_path: Path) -> None:
    production = production_of(tmp_path)
    assert "mariadb.service" in production.units
    assert {"/usr/sbin/mariadbd", "/usr/sbin/galera_helper"} <= production.programs


def test_programs_of_other_sources_of_clients_and_of_the_base_system_are_nobodys_production(tmp_path: Path) -> None:
    assert not production_of(tmp_path).programs & {"/usr/sbin/lsof", "/usr/lib/init", "/usr/lib/mariadb/ask"}
