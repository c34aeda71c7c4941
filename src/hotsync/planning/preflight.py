"""May this SLAVE be promoted now? Each question with its answer and a thing to do; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hotsync.config.schema import WAY_BACK, Fault
from hotsync.errors import NotPromotable, PeerStillAlive, WrongRole
from hotsync.model.disk_tables import DisksFound
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkChoice
from hotsync.model.report import Check, Verdict

OLD_DATA_SECONDS = 3600.0
SILENT = "master.silent"
"""The check that nothing of the MASTER answers."""


@dataclass(frozen=True, slots=True)
class NetworkFound:
    """What was found out about the network that this server would get.

    `known`: there are addresses to take; `missing` are the MASTER's cards that are not here, `proposal` the options
    that would map them; `crossed` says which of those that are here seem to be on other wires than their names say,
    then `same` are the options that confirm the names; `mapping` says how they are mapped, `stale` what is wrong with a
    mapping that was confirmed;
    `dhcp` are interfaces that ask for their address, `leases` addresses that were lent; `asked`: a person wants it now.
    `standby_lacking`: why this server would keep no address of its own, for the old MASTER to come back with.
    """

    choice: NetworkChoice = NetworkChoice.MASTERS
    fault: str = ""
    known: bool = True
    missing: tuple[str, ...] = ()
    dhcp: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    proposal: str = ""
    crossed: tuple[str, ...] = ()
    same: str = ""
    mapping: str = ""
    stale: str = ""
    asked: bool = True
    standby_lacking: str = ""


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """What was found out before anything is planned; texts are empty where all is well.

    `planned`: a switchover, so the MASTER is to answer; `handover_fault` says why it cannot hand over.
    """

    role: RoleRecord
    generation: int = 0
    slave_ran: bool = False
    signs_of_life: tuple[str, ...] = ()
    data_age: float = 0.0
    blocked: tuple[str, ...] = ()
    etc_missing: bool = False
    etc_mounts: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    room_missing: str = ""
    network: NetworkFound = NetworkFound()
    dumps_fault: str = ""
    servers_lacking: tuple[str, ...] = ()
    servers_newer: tuple[str, ...] = ()
    nodes_differing: tuple[str, ...] = ()
    locales_lacking: tuple[str, ...] = ()
    extensions_lacking: tuple[str, ...] = ()
    libraries_lacking: tuple[str, ...] = ()
    other_libraries_lacking: tuple[str, ...] = ()
    rules_fault: str = ""
    facts_fault: str = ""
    packages_missing: tuple[str, ...] = ()
    planned: bool = False
    handover_fault: str = ""
    own_data: str = ""
    wrong_settings: tuple[Fault, ...] = ()
    disks: DisksFound = field(default_factory=DisksFound)


def check_all(facts: PreflightFacts) -> tuple[Check, ...]:
    """Given the facts, return every check."""
    network = _network(facts.network, planned=facts.planned)
    return (*_basics(facts), *_settings(facts), *_packages(facts), *_data(facts), *_databases(facts), *network)


def refuse(facts: PreflightFacts, *, force: bool) -> None:
    """Raise the Refused that fits best if this server must not be promoted.

    `force` overrules a living MASTER, and data that is this server's own, from before its rejoin.
    """
    role = facts.role.role
    if role is not Role.SLAVE:
        shown = "the MASTER already" if role is Role.MASTER else role.in_words
        raise WrongRole(role=shown, command="hotsync-promote", wanted="a SLAVE")
    if not facts.generation:
        raise NotPromotable(
            reason="it holds no generation yet", hint="Run hotsync on the MASTER until it says that it is done."
        )
    if not facts.slave_ran:
        raise NotPromotable(
            reason="hotsync-slave has not run yet on this server",
            hint="Run hotsync-slave, read what it says, then run hotsync-promote again.",
        )
    if facts.signs_of_life and not force:
        raise PeerStillAlive(evidence="; ".join(facts.signs_of_life))
    overruled = {SILENT, "data.own"} if force else {SILENT}
    red = [check for check in check_all(facts) if check.verdict is Verdict.RED and check.name not in overruled]
    if red:
        raise NotPromotable(reason="; ".join(check.detail for check in red), hint=red[0].hint)


def _check(name: str, title: str, bad: str, hint: str, verdict: Verdict = Verdict.RED) -> Check:
    return Check(name, title, verdict, bad, hint) if bad else Check(name, title, Verdict.GREEN)


def _basics(facts: PreflightFacts) -> Iterator[Check]:
    if facts.planned:
        yield _check(
            "master.hands.over",
            "the MASTER answers, and can hand over",
            facts.handover_fault,
            "See that hotsyncd runs on both servers, in the same version (`hotsync status`). Where the MASTER is lost "
            "nothing can be handed over: hotsync-promote without --planned.",
        )
    yield _check(
        SILENT,
        "the MASTER is silent",
        "; ".join(facts.signs_of_life),
        "Switch the MASTER off first; --force only if you are sure that it cannot serve.",
    )
    yield _check(
        "data.own",
        "the data is the MASTER's",
        facts.own_data,
        "Run hotsync on the MASTER. If it is lost: hotsync-promote --force puts into production what this server had.",
    )
    old = f"the data is {facts.data_age / 60:.0f} minutes old" if facts.data_age > OLD_DATA_SECONDS else ""
    yield _check(
        "data.age", "the data is fresh", old, "What was done on the MASTER since then is not here.", Verdict.AMBER
    )
    yield _check(
        "facts.told",
        "the MASTER told what it is",
        facts.facts_fault,
        "Units that the profiles name are started; look with `systemctl` whether anything else must run.",
        Verdict.AMBER,
    )


def _settings(facts: PreflightFacts) -> Iterator[Check]:
    """A wrong value counts as not set, which is known before the hour when it matters; not so where it decides whether
    the new network stays."""
    changes = facts.network.choice.takes_addresses
    deciding = [fault for fault in facts.wrong_settings if fault.prop in WAY_BACK and changes]
    others = [fault for fault in facts.wrong_settings if fault not in deciding]
    yield _check(
        "network.probe",
        "it is clear who must answer in the new network",
        _faults_listed(deciding),
        deciding[0].hint if deciding else "",
    )
    yield _check(
        "settings.allowed",
        "all settings have a value that is allowed",
        _faults_listed(others),
        others[0].hint if others else "",
        Verdict.AMBER,
    )


def _faults_listed(faults: list[Fault]) -> str:
    return "; ".join(f"{fault.prop}: {fault.sentence}" for fault in faults)


def _packages(facts: PreflightFacts) -> Iterator[Check]:
    yield _check(
        "packages.missing",
        "this server has the MASTER's packages",
        _listed("missing", facts.packages_missing),
        "What needs them will not run; hotsync-slave says why they could not be had.",
        Verdict.AMBER,
    )


def _data(facts: PreflightFacts) -> Iterator[Check]:
    yield _check(
        "data.blocked",
        "everything can move into place",
        _listed("cannot move as things lie on this server", facts.blocked),
        "This server has a mount point or a link where the MASTER has something else: make both servers alike.",
    )
    yield _check(
        "data.configuration",
        "the MASTER's /etc is in the replica",
        "the last generation holds no /etc with accounts" if facts.etc_missing else "",
        "See what excludes /etc on the MASTER (/etc/backup-data.d, /etc/hotsync/profiles.d): nothing goes without it.",
    )
    yield _check(
        "data.etc",
        "nothing is mounted below /etc",
        _listed("mounted", facts.etc_mounts),
        "Unmount it: a mount would move along when /etc is exchanged.",
    )
    yield _check(
        "data.immutable",
        "no path is immutable",
        _listed("immutable (chattr +i)", facts.immutable),
        "chattr -i each of them (-P where it says so), or it cannot be set aside.",
    )
    yield _check(
        "data.copied",
        "data moves without being copied",
        _listed("lies on another file system than /var/lib/hotsync and is copied", facts.copied),
        "The promotion takes as long as the copy.",
        Verdict.AMBER,
    )
    yield _disks(facts.disks)
    yield _check("data.room", "there is room for what is copied and loaded", facts.room_missing, "Free space there.")


def _disks(found: DisksFound) -> Check:
    title = "a promotion leaves this server what its own disks need"
    here = _listed("stays, though the MASTER has another one there", tuple(map(str, found.differing)))
    gone = _listed("is set aside, and the next boot would miss it", tuple(map(str, found.gone)))
    kept = _listed("stays", tuple(map(str, found.kept)))
    if not here and not gone:
        return Check("data.disks", title, Verdict.GREEN, kept)
    hint = "Keep it where nothing is carried (`hotsync explain PATH` tells), under a path that the MASTER does not use."
    return Check("data.disks", title, Verdict.AMBER, "; ".join(filter(None, (gone, here))), hint)


def _databases(facts: PreflightFacts) -> Iterator[Check]:
    yield _check(
        "data.rules",
        "the MASTER's rules can be read",
        facts.rules_fault,
        "Install the same HotSync on both servers and run hotsync on the MASTER; or go back with `hotsync history`.",
    )
    yield _check(
        "data.dumps",
        "the collected databases can be read",
        facts.dumps_fault,
        "Run `hotsync verify`; an older generation may hold a good copy.",
    )
    yield _check(
        "data.servers",
        "the MASTER's database servers are here, and not older",
        "; ".join(facts.servers_lacking),
        "Run hotsync-slave, or install or update the server: without it its databases cannot be loaded. To have "
        "production without them: hotsync-promote --without SERVER, as it is called here.",
    )
    yield _check(
        "data.versions",
        "the MASTER's databases stay on the same major version",
        "; ".join(facts.servers_newer),
        "Install that version if the applications need it. The newer server takes over who gets in, the port and the "
        "addresses, not the tuning of postgresql.conf.",
        Verdict.AMBER,
    )
    yield _check(
        "data.nodes",
        "the MASTER's servers have the names here that their databases know",
        "; ".join(facts.nodes_differing),
        "On the MASTER, set ERLANG_NODE in /etc/ejabberd/ejabberdctl.cfg, restart ejabberd, run hotsync. If the "
        "MASTER is gone: the promotion stops at this database; set it here then, and run the same command again.",
        Verdict.AMBER,  # to refuse would leave no way out: the file is put in place by the promotion
    )
    yield _check(
        "data.extensions",
        "the extensions of the databases are here",
        _listed("missing", facts.extensions_lacking),
        "Install the packages that bring them (postgresql-VERSION-NAME): their databases cannot be loaded without. To "
        "have production without one: hotsync-promote --without SERVER/DATABASE, as it is called here.",
    )
    others = "" if facts.libraries_lacking else _listed("missing", facts.other_libraries_lacking)
    yield _check(
        "data.plugins",
        "the plugins of the MariaDB servers are here",
        others or _listed("missing", (*facts.libraries_lacking, *facts.other_libraries_lacking)),
        "Install the package that brings the file (on the MASTER `dpkg -S FILE` or `rpm -qf FILE` names it), or put "
        "the file there: accounts, tables and views that need one cannot be made without. To have production without "
        "such a server: hotsync-promote --without SERVER, as it is called here.",
        Verdict.AMBER if others else Verdict.RED,
    )
    yield _check(
        "data.locales",
        "the locales of the databases are here",
        _listed("missing", facts.locales_lacking),
        "Run hotsync-slave, which makes them; or install the package locales-all.",
    )


def _network(found: NetworkFound, *, planned: bool) -> Iterator[Check]:
    if not found.choice.takes_addresses:
        return
    without = "Run hotsync-promote --network 3 to keep this server's network, and set it up by hand."
    yield _check(
        "network.read",
        "the MASTER's network is understood",
        found.fault,
        "Its files are taken as they are, its addresses are those it last had." if found.known else without,
        Verdict.AMBER if found.known else Verdict.RED,
    )
    yield _cards(found, without)
    yield _check(
        "network.mapping",
        "the confirmed mapping of network cards fits",
        found.stale,
        "Confirm it anew: hotsync-slave --map OLD=NEW for each card.",
        Verdict.AMBER,
    )
    yield _check(
        "network.standby",
        "this server has a fixed address of its own",
        found.standby_lacking,
        "Give the SLAVE a fixed address in its network files: the old MASTER takes it when it comes back, and cannot "
        "come back without.",
        Verdict.RED if planned else Verdict.AMBER,  # after a switchover it comes back by itself, with nobody at hand
    )
    lent = _listed("lent by DHCP, and taken as fixed", found.leases)
    asked = _listed("asks a DHCP server for its address", found.dhcp)
    yield _check(
        "network.dhcp",
        "the MASTER's addresses are fixed",
        "; ".join(said for said in (lent, asked) if said),
        "Reserve what is taken as fixed on the DHCP server, or it may lend it to somebody else."
        if lent
        else "This server will get another address there, unless the DHCP server knows its card.",
        Verdict.AMBER,
    )


def _cards(found: NetworkFound, without: str) -> Check:
    """Return whether it is clear which card takes which one's place."""
    name, title = "network.cards", "this server has the MASTER's network cards"
    if not found.missing and found.crossed:
        command = "hotsync-promote" if found.asked else "hotsync-slave"
        bad = _listed("on other wires than their names say", found.crossed)
        hint = f"Look at the cables, then say it: {command} {found.proposal}; or, if the names are right, {found.same}."
        return Check(name, title, Verdict.AMBER, bad, hint)
    if not found.missing:
        return Check(name, title, Verdict.GREEN, found.mapping)
    bad = _listed("not on this server", found.missing)
    if not found.proposal:
        return Check(name, title, Verdict.RED, bad, without)
    if found.asked:
        hint = f"Say which is which, as it is proposed or otherwise: hotsync-promote {found.proposal}"
        return Check(name, title, Verdict.RED, bad, hint)
    hint = f"Confirm which is which: hotsync-slave {found.proposal} (run on a terminal, hotsync-slave asks)."
    return Check(name, title, Verdict.AMBER, bad, hint)


def _listed(what: str, paths: tuple[str, ...]) -> str:
    if not paths:
        return ""
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return f"{what}: {shown}"
