"""`network-recovery`: a text dialogue that gives this server an address, a gateway and name servers again."""

from __future__ import annotations

import sys

import click

from hotsync.cli.door import GuardedCommand
from hotsync.cli.render import say, table
from hotsync.engine.network import recovery
from hotsync.errors import ConfigError, ExitCode, HotSyncError, Refused, UsageError
from hotsync.model.network.recovery import Wanted
from hotsync.model.network.values import Address, parse_address
from hotsync.system import log
from hotsync.system.clock import SystemClock
from hotsync.system.paths import from_environment

COMMAND = "network-recovery"


@click.command(COMMAND, cls=GuardedCommand)
def network_recovery() -> int:
    """Give this server an address, a gateway and name servers again, on its console.

    Asks for each, shows what it understood, and asks once more before anything is changed. The address is taken at
    once; if those who answered before do not answer any more, the old network comes back by itself. Then it is written
    into the files of the network program, and what they replace is kept in /var/lib/hotsync/network-files.

    Exit status: 0 done, 1 done until the next boot only, 2 usage or settings, 3 refused, 9 the network did not take it.
    """
    log.set_up(COMMAND)
    paths, clock = from_environment(), SystemClock()
    if not sys.stdin.isatty():
        raise UsageError(reason="this is a dialogue, and nobody is there to answer", hint="Run it on a terminal.")
    seen = recovery.look(paths)
    if not seen.interfaces:
        raise Refused(reason="this server has no network card", hint="`ip link` shows what the system finds.")
    rows = [(name, ", ".join(has) or "no address") for name, has in seen.interfaces.items()]
    table("The network interfaces of this server", ("interface", "has"), rows)
    if seen.fault:
        say(seen.fault, mark=click.style("Not understood:", fg="yellow"))
        say("These files would be replaced by what you say now; they are kept beside.")
    wanted = _ask(tuple(seen.interfaces))
    _confirm(wanted, seen)
    recovery.take(paths, wanted, clock, say)
    say(f"This server has {wanted.address} on {wanted.address.interface} now.")
    try:
        aside = recovery.keep(paths, seen, wanted, clock.now())
    except HotSyncError as error:
        say(f"It lasts until the next boot only: {error.sentence}", err=True)
        return ExitCode.WARNINGS
    if seen.system is None:
        say("It lasts until the next boot only: no network program that HotSync knows is set up here.", err=True)
        return ExitCode.WARNINGS
    say(f"It is written into the files of {seen.system.name}." + (f" The old ones are in {aside}." if aside else ""))
    return ExitCode.DONE


def _ask(names: tuple[str, ...]) -> Wanted:
    name = str(click.prompt("Interface", type=click.Choice(names), default=names[0] if len(names) == 1 else None))
    address = _prompt(name, "Address with the length of its network (192.0.2.10/24)", network=True)
    assert address is not None
    gateway = _prompt(name, "Gateway (empty: none)", optional=True)
    return Wanted(address, gateway, _ask_servers(name))


def _ask_servers(name: str) -> tuple[str, ...]:
    while True:
        text = str(click.prompt("Name servers, a blank between (empty: as they are)", default="", show_default=False))
        try:
            return tuple(parse_address(name, each, "What was typed").address for each in text.split())
        except ConfigError as error:
            say(error.sentence)


def _prompt(name: str, question: str, *, network: bool = False, optional: bool = False) -> Address | None:
    while True:
        text = str(click.prompt(question, default="" if optional else None, show_default=False)).strip()
        if optional and not text:
            return None
        if network and "/" not in text:
            click.echo("The length of the network is missing: /24 is the mask 255.255.255.0.")
            continue
        try:
            return parse_address(name, text, "What was typed")
        except ConfigError as error:
            say(error.sentence)


def _confirm(wanted: Wanted, seen: recovery.Seen) -> None:
    if holder := recovery.holder_of(wanted.address):
        say(f"{holder} has {wanted.address.address} already.", mark=click.style("Warning:", fg="yellow"))
    rows = [
        ("interface", wanted.address.interface),
        ("address", str(wanted.address)),
        ("gateway", wanted.gateway.address if wanted.gateway else "none"),
        ("name servers", ", ".join(wanted.servers) or "as they are"),
        ("written for", seen.system.name if seen.system else "nothing: until the next boot"),
    ]
    table("This server would get", ("", ""), rows)
    if not click.confirm("Is that right?", default=False):
        raise Refused(reason="it was not confirmed", hint="Nothing was changed.")
