"""What a SLAVE needs to be ready: mute first, then accounts, then packages, so that these find the right numbers."""

from __future__ import annotations

from collections.abc import Iterator

from hotsync.errors import NotReady, Refused, WrongRole
from hotsync.model.identity import Role
from hotsync.model.plan import Plan, Step, in_order
from hotsync.model.slave import SlaveFacts
from hotsync.steps.databases import LoadBeforehand, TendStandby
from hotsync.steps.packages import (
    FinishInstall,
    InstallPackages,
    MakeLocales,
    MarkPackages,
    TakeArchitectures,
    TakeNumbers,
    TakeStreams,
)
from hotsync.steps.slave import FreeUnits, MuteUnits

COMMAND = "hotsync-slave"


def check_may_run(facts: SlaveFacts) -> None:
    """Raise WrongRole, Refused or NotReady if hotsync-slave has no business on this server now."""
    role = facts.role
    if role.role is not Role.SLAVE:
        raise WrongRole(role=role.role.in_words, command=COMMAND, wanted="a SLAVE")
    if role.claim is not None and role.claim > role.epoch:
        raise Refused(
            reason=f"a promotion of this server to epoch {role.claim} is not finished",
            hint="Run hotsync-promote: it goes on where it stopped.",
        )
    if not facts.generation:
        raise NotReady(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )


def check_family(facts: SlaveFacts) -> None:
    """Raise Refused if the MASTER's packages are none that this server could ever install."""
    if facts.other_family:
        raise Refused(
            reason=facts.other_family, hint="Pair it with a server of the same distribution: programs are not carried."
        )


def plan_slave(facts: SlaveFacts, *, only_permissions: bool = False) -> Plan:
    """Given the facts, return what is to be done; nothing if all is as it should be."""
    return in_order(_steps(facts, only_permissions))


def _steps(facts: SlaveFacts, only_permissions: bool) -> Iterator[Step]:
    if facts.to_free:
        yield FreeUnits(facts.to_free)
    if facts.to_mute or facts.running or facts.mute_unread:
        yield MuteUnits(tuple(sorted({*facts.to_mute, *facts.running})))
    if facts.move_cut or facts.files_left or not facts.numbers.empty:
        yield TakeNumbers()
    if facts.broken and facts.install_cut and not only_permissions:
        yield FinishInstall()
    if not only_permissions and not facts.is_blocked:
        yield from _packages(facts)
    if facts.locales and not only_permissions:
        yield MakeLocales(facts.locales)  # after the packages: one of them brings what locales are made of
    if not only_permissions:
        for standby in facts.standbys:
            if standby.to_do:
                engine, _, instance = standby.name.partition("/")
                yield TendStandby(engine, instance, standby.to_do)
        for load in facts.loads:
            if load.name in {standby.name for standby in facts.standbys if standby.to_do and not standby.over}:
                continue  # a copy takes its place
            if not load.hindrance or facts.wanted:  # what hinders it now may be a server that is not installed yet
                yield LoadBeforehand(load.engine, load.instance, load.bytes_left)


def _packages(facts: SlaveFacts) -> Iterator[Step]:
    if facts.architectures:
        yield TakeArchitectures(facts.architectures)
    if facts.streams:
        yield TakeStreams(facts.streams)
    if facts.wanted:
        updates = sum(1 for package in facts.wanted if package.here)
        yield InstallPackages(tuple(package.name for package in facts.wanted), updates)
    if facts.wanted or facts.marks:
        yield MarkPackages()
