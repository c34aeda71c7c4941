"""Two real Debian machines on one computer: the stage on which HotSync is tried.

`Lab.up()` boots a MASTER and a SLAVE, each with its own disk, systemd and network, joined by a switch on which a
client sits too. `docs/lab.md` tells what each verb does; `script/lab` is the same from a shell.
"""

from lab.command import CommandFailed, LabError
from lab.host import Host
from lab.stand import Lab

__all__ = ["CommandFailed", "Host", "Lab", "LabError"]
