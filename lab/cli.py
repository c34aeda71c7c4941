"""`script/lab`: the verbs of the lab for a shell."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab import image, stand
from lab.command import LabError
from lab.face import NETWORKS
from lab.host import Host
from lab.places import HOSTS
from lab.stand import Lab


def main(words: list[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(words)
    try:
        return int(options.do(options) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/lab", description="Two real Debian machines, to try HotSync on.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(
        name: str, do: Callable[[argparse.Namespace], int | None], text: str, *arguments: str
    ) -> argparse.ArgumentParser:
        own = verbs.add_parser(name, help=text, description=text)
        own.set_defaults(do=do)
        own.add_argument("--name", default="lab", help="which lab; several can stand side by side (default: lab)")
        for argument in arguments:
            if argument == "HOST":
                own.add_argument("host", choices=HOSTS)
            elif argument == "COMMAND":
                own.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
            else:
                own.add_argument(argument.lower().rstrip("*"), metavar=argument.rstrip("*"), nargs=_count(argument))
        return own

    up = verb("up", _up, "boot both hosts, build the package from this checkout and install it on both")
    up.add_argument("--fs", choices=image.FILE_SYSTEMS, default="ext4", help="of the hosts' disks")
    up.add_argument("--bare", action="store_true", help="a MASTER without applications")
    up.add_argument("--network", choices=NETWORKS, default="ifupdown", help="what configures the hosts' network")
    up.add_argument("--nics", default="", metavar="SPEC", help="more cards: master=eth1:dmz@10.78.0.1/24;slave=...")
    up.add_argument("--size", type=int, default=image.GIGABYTES, metavar="GB", help="of each disk (sparse)")
    package = up.add_mutually_exclusive_group()
    package.add_argument("--no-package", action="store_true", help="leave HotSync out")
    package.add_argument("--deb", type=Path, help="install this package instead of building it")
    verb("down", lambda o: Lab.take_away(o.name), "take all away, also after a failure")
    verb("status", _status, "say which labs are there, and what is on")
    verb("exec", _exec, "run a command on a host", "HOST", "COMMAND")
    verb("client", _client, "run a command of this machine on the lab's network", "COMMAND")
    verb("shell", _shell, "a login shell on a host", "HOST")
    verb("boot", lambda o: _host(o).boot(), "power on", "HOST")
    verb("kill", lambda o: _host(o).kill(), "power cut: the disk becomes the image of this instant", "HOST")
    verb("stop", lambda o: _host(o).stop(), "shut down in good order", "HOST")
    verb("console", lambda o: print(_host(o).console()), "what the host wrote to its console", "HOST")
    verb(
        "image",
        lambda o: _host(o).image(o.file),
        "copy the disk at this instant, while the host runs on",
        "HOST",
        "FILE",
    )
    verb("cut", lambda o: _host(o).cut(), "pull the network cable", "HOST")
    verb("join", lambda o: _host(o).join(), "plug it in again", "HOST")
    verb(
        "clock",
        lambda o: _host(o).clock(o.offset),
        "a wrong clock for HotSync: +2h, -90s; +0 is right",
        "HOST",
        "OFFSET",
    )
    verb("save", lambda o: Lab.find(o.name).save(o.label), "keep all disks under a label", "LABEL")
    verb("revert", lambda o: Lab.find(o.name).revert(o.label), "bring them back and boot", "LABEL")
    verb(
        "withdraw",
        lambda o: Lab.find(o.name).repository.withdraw(*o.package),
        "packages that cannot be had",
        "PACKAGE+",
    )
    verb(
        "offer",
        lambda o: Lab.find(o.name).repository.offer(*o.package),
        "packages back (all without a name)",
        "PACKAGE*",
    )
    verb("mails", _mails, "print the mails that the sink took")
    sink = verb("sink", _sink, "the mail relay at the client's port 25")
    sink.add_argument("state", choices=("start", "stop"))
    verb("build", lambda _: stand.warm(), "build the base images ahead")
    return parser


def _count(argument: str) -> str | None:
    return argument[-1] if argument[-1] in "+*" else None


def _host(options: argparse.Namespace) -> Host:
    lab = Lab.find(options.name)
    return lab.master if options.host == "master" else lab.slave


def _command(options: argparse.Namespace) -> list[str]:
    words: list[str] = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise LabError("what should run? `... -- COMMAND`")
    return words


def _up(options: argparse.Namespace) -> None:
    Lab.up(
        options.name,
        options.fs,
        bare=options.bare,
        package=options.deb or not options.no_package,
        network=options.network,
        nics=options.nics,
        gigabytes=options.size,
    )


def _status(_: argparse.Namespace) -> None:
    for name in stand.labs():
        try:
            lab = Lab.find(name)
        except LabError:
            print(f"{name}: left half, `script/lab down --name {name}` takes it away")
            continue
        power = ", ".join(f"{host.name} {'on' if host.on else 'off'}" for host in lab.hosts)
        print(f"{name}: {power}; {lab.wish.fs}; saved: {' '.join(lab.saved()) or 'nothing'}")


def _become(argv: list[str]) -> int:
    """Let the program take this one's place: streams, signals and exit code are then simply its own."""
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _exec(options: argparse.Namespace) -> int:
    return _become(_host(options).enter(_command(options)))


def _client(options: argparse.Namespace) -> int:
    return _become(Lab.find(options.name).client.enter(_command(options)))


def _shell(options: argparse.Namespace) -> int:
    shell = ["bash", "--login"]
    if sys.stdin.isatty():
        shell = ["script", "-q", "-c", "bash --login", "/dev/null"]  # a terminal that the host itself knows
    return subprocess.call(_host(options).enter(shell))


def _mails(options: argparse.Namespace) -> None:
    for mail in Lab.find(options.name).client.mails():
        print(f"{'=' * 80}\n{mail}")


def _sink(options: argparse.Namespace) -> None:
    client = Lab.find(options.name).client
    client.start_sink() if options.state == "start" else client.stop_sink()
