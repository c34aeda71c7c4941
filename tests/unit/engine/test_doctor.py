from __future__ import annotations

from pathlib import Path

from hotsync.engine.doctor import changed_files, listening_ports, state_fault
from hotsync.system.paths import Paths

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 20915 1 0 100 0 0 10 0
   1: 0A4D0001:A0B2 0A4D0002:0111 01 00000000:00000000 00:00000000 00000000     0        0 31337 1 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0111 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""
VERIFY = """\
??5??????   /usr/lib/hotsync/bin/hotsyncd
??5?????? c /etc/hotsync/profiles.d/README
missing     /usr/share/doc/hotsync/errors.md
"""


def test_only_what_listens_counts() -> None:
    assert listening_ports([TCP, TCP6]) == {3306, 273}
    assert listening_ports([TCP]) == {3306}


def test_changed_files_of_the_package_are_named_and_settings_are_not() -> None:
    assert [line.split()[0] for line in changed_files(VERIFY)] == [
        "/usr/lib/hotsync/bin/hotsyncd", "/usr/share/doc/hotsync/errors.md",
    ]  # fmt: skip


def test_a_state_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in state_fault(Paths(tmp_path))
    Paths(tmp_path).state.mkdir(parents=True)
    assert state_fault(Paths(tmp_path)) == ""
