"""A host's power supply: `python3 -m lab.power LAB HOST`, there for as long as the machine is on."""

from __future__ import annotations

import sys

from lab.places import HOSTS
from lab.stand import Lab

if __name__ == "__main__":
    Lab.find(sys.argv[1]).hosts[HOSTS.index(sys.argv[2])].supply()
