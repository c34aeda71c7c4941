"""What each system's own program says of its files: ifup, networkd, nmcli, netplan."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

_START = """
mount -t tmpfs none /run/systemd
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
mount --bind "$1" /etc/systemd/network
SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console exec /lib/systemd/systemd-networkd
"""

_UP = """
mount -t tmpfs none /run
mkdir /run/network
ip link set lo up
ip link add eth7 type veth peer name far7
ip link add eth8 type veth peer name far8
ip link set far7 up
ip link set far8 up
for name in $2; do ifup --interfaces "$1" "$name" || echo "$name failed"; done
ip -4 route show
ip -6 route show
ip -o address show
"""


def put(folder: Path, texts: Mapping[str, str], mode: int = 0o644) -> None:
    """Write texts to their paths below a folder."""
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        (folder / path).chmod(mode)


def ifup_says(file: Path, names: Iterable[str]) -> str:
    """Return the commands that ifup would run for interfaces; fail on what it does not understand."""
    words = ["ifup", "--no-act", "--verbose", "--force", "--no-loopback", "--interfaces", str(file), *names]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "run-parts" not in line]
    assert not [line for line in lines if re.search(r"error|warning|unknown|duplicate", line, re.IGNORECASE)]
    return "\n".join(" ".join(line.split()) for line in lines)


def ifup_makes(file: Path, *names: str) -> list[str]:
    """Return the routes and addresses of a host with the cards eth7 and eth8 once ifup has set these interfaces up,
    and before them which of them it did not."""
    argv = ["unshare", "--net", "--mount", "sh", "-euc", _UP, "sh", str(file), " ".join(names)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def networkd_says(folder: Path) -> list[str]:
    """Return the faults that networkd finds in the files of a folder, which it reads in namespaces of its own."""
    argv = ["unshare", "--net", "--mount", "sh", "-euc", _START, "sh", str(folder)]
    faults: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            # what it only tells of its own accord ("Setting ... because ...") is none
            if line.startswith("/etc/systemd/network/") and " because " not in line:
                faults.append(line.strip())
            if "Enumeration completed" in line:
                break
        else:
            faults.append("networkd did not start")
        process.terminate()
    return faults


def nmcli_says(text: str, name: str) -> str:
    """Given a profile of an interface, return it as NetworkManager understands and writes it."""
    argv = ["nmcli", "--offline", "connection", "modify", "connection.id", name]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def netplan_makes(root: Path) -> dict[str, str]:
    """Given a root with netplan's files, return the files of networkd that it makes of them, as if in /etc."""
    done = subprocess.run(["netplan", "generate", "--root-dir", str(root)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    made = sorted((root / "run/systemd/network").iterdir())
    return {f"systemd/network/{path.name}": path.read_text() for path in made if path.suffix != ".link"}


def yaml_says(text: str) -> object:
    """Given a text in YAML, return what Debian's own reader finds in it, every value as a text."""
    program = "import json, sys, yaml; print(json.dumps(yaml.load(sys.stdin, yaml.BaseLoader)))"
    done = subprocess.run(["/usr/bin/python3", "-c", program], input=text, capture_output=True, text=True, check=True)
    found: object = json.loads(done.stdout)
    return found
