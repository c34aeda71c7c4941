"""Readiness of a waiting SLAVE as checks: pure, from what was read and what a run could not do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from hotsync.model.facts import PackageFact
from hotsync.model.packages import Package, compare_versions
from hotsync.model.report import Check, Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.model.standby import StandbyFacts

_DATABASE_SERVER = re.compile(r"^(mariadb-server(-core)?|mysql-server-core-[0-9.]+|postgresql-[0-9]+)\Z")
LITTLE_SPACE, NO_SPACE = 0.10, 0.02


def listed(said: Sequence[str], most: int = 8) -> str:
    """Given sentences, return them as one detail, the first few of many."""
    return "; ".join(said[:most]) + (f"; and {len(said) - most} more" if len(said) > most else "")


def _check(name: str, title: str, verdict: Verdict, said: Sequence[str], hint: str, good: str = "") -> Check:
    return Check(name, title, verdict, listed(said), hint) if said else Check(name, title, Verdict.GREEN, good)


def check_quiet(said: Sequence[str], held: int) -> Check:
    """Given what runs of production in a person's words, return the mute's proof."""
    hint = "Find out who started it, and stop it: until a promotion nothing of production runs here."
    title = "nothing of production runs here"
    return _check("mute.quiet", title, Verdict.RED, said, hint, f"{held} units are held")


def check_listening(said: Sequence[str]) -> Check:
    """Given who listens and is neither the machine's, nor HotSync's, nor kept, return the proof by sockets."""
    title = "who listens here belongs to this machine"
    hint = (
        "Stop it if nobody needs it here. If this server needs it while it is a SLAVE, name its unit under "
        "services.keep of a profile in /etc/hotsync/profiles.d on this server."
    )
    return _check("mute.listening", title, Verdict.AMBER, said, hint)


def check_packages(facts: SlaveFacts, outcome: SlaveOutcome, only_permissions: bool) -> Iterator[Check]:
    """Given what was planned and what came of it, return whether the MASTER's packages are here."""
    title = "the MASTER's packages are installed"
    missing = dict(outcome.missing)
    broken = "" if outcome.repaired else facts.broken
    if broken or only_permissions:
        why = "the package database must be repaired first" if broken else "fixperm installs nothing"
        missing |= {package.name: why for package in facts.wanted}
    if not facts.told:
        yield Check("packages.missing", title, Verdict.AMBER, "the MASTER has not told which packages it has")
    else:
        said = [f"{name} ({reason})" for name, reason in sorted(missing.items())]
        hint = "What needs them will not run after a promotion. `hotsync-slave --json` lists all of them."
        yield _check("packages.missing", title, Verdict.AMBER, said, hint)
    said = [broken] if broken else []
    yield _check(
        "packages.database",
        "the package database is sound",
        Verdict.AMBER,
        said,
        "dpkg --configure -a; apt-get -f install",
    )
    said = [outcome.lists_fault] if outcome.lists_fault else []
    hint = "Nothing was lost: what is installed stays. `apt-get update` shows the cause."
    yield _check("packages.lists", "the repositories answer", Verdict.AMBER, said, hint)


def outdated(master: Iterable[PackageFact], available: Mapping[str, Sequence[str]]) -> int:
    """Given the MASTER's packages and the versions that can be had here (the candidate first), return how many of them
    could be updated there. Packages that no repository of this server has are not known."""
    return sum(
        1
        for package in master
        if (versions := available.get(package.name)) and compare_versions(package.version, versions[0]) < 0
    )


def check_locales(failed: Mapping[str, str]) -> Check:
    """Given the locales of the MASTER that could not be made, with reasons, return whether all are here."""
    said = [f"{name} ({reason})" for name, reason in sorted(failed.items())]
    hint = "apt-get install locales (or locales-all), then hotsync-slave: programs of the MASTER may ask for them."
    return _check("packages.locales", "the MASTER's locales are here", Verdict.AMBER, said, hint)


def check_loads(failed: Mapping[str, str], left: Mapping[str, str]) -> Check:
    """Given the database servers that could not be loaded beforehand, and those that are left to a promotion, with the
    reasons, return whether a promotion finds them loaded."""
    hint = "A promotion loads them, which takes it longer. `journalctl -u hotsync-slave` has more."
    said = [f"{name}: {reason}" for name, reason in sorted(failed.items())]
    good = listed([f"left to the promotion: {name} ({reason})" for name, reason in sorted(left.items())])
    return _check("databases.beforehand", "databases are loaded beforehand", Verdict.AMBER, said, hint, good)


def check_standbys(failed: Mapping[str, str], standbys: Iterable[StandbyFacts]) -> Iterator[Check]:
    """Given what could not be done for streamed clusters, and how they are now, return whether they follow the MASTER.

    Nothing is said where nothing is streamed.
    """
    known = tuple(standbys)
    said = [f"{name}: {reason}" for name, reason in sorted(failed.items())]
    said += [each.trouble for each in known if each.trouble and each.name not in failed]
    hint = "Until it does, a promotion loads its dumps. `journalctl -u hotsync-slave -u 'hotsync-warm-*'` has more."
    if known or failed:
        good = listed([each.name for each in known])
        yield _check("databases.streamed", "streamed databases follow the MASTER", Verdict.AMBER, said, hint, good)


def check_versions(
    master: Iterable[PackageFact],
    installed: Mapping[str, Package],
    updates: int,
    masters_updates: int,
    not_older: Collection[str] = (),
) -> Iterator[Check]:
    """Given both sides' packages, return whether versions fit where it matters: a database needs no older server."""
    older: list[str] = []
    much_older: list[str] = []
    differing = 0
    for package in master:
        here = installed.get(package.name)
        if here is None or here.version == package.version:
            continue
        differing += 1
        matters = _DATABASE_SERVER.match(package.name) or package.name in not_older
        if matters and compare_versions(here.version, package.version) < 0:
            worse = compare_versions(_series(here.version), _series(package.version)) < 0
            (much_older if worse else older).append(f"{package.name} is {here.version}, the MASTER's {package.version}")
    hint = "Update this server (apt-get upgrade); an older database server may refuse the MASTER's dumps."
    verdict = Verdict.RED if much_older else Verdict.AMBER
    good = f"{differing} packages have another version here" if differing else ""
    waiting = [f"{updates} updates wait here"] if updates else []
    waiting += [f"{masters_updates} wait on the MASTER"] if masters_updates else []
    good = "; ".join(([good] if good else []) + waiting)
    yield _check("packages.versions", "database servers are not older here", verdict, much_older + older, hint, good)


def _series(version: str) -> str:
    """Given 1:10.11.6-0+deb12u1, return 1:10.11: what a database's files and dumps depend on."""
    found = re.match(r"(?:[0-9]+:)?[0-9]+(?:\.[0-9]+)?", version)
    return found[0] if found else version


def check_accounts(facts: SlaveFacts, outcome: SlaveOutcome) -> Iterator[Check]:
    """Given what was planned and what came of it, return whether the MASTER's accounts have their numbers here."""
    title = "the MASTER's accounts have their numbers here"
    hint = "Accounts that cannot be made are carried all the same; see what they are on the MASTER."
    yield _check("accounts.numbers", title, Verdict.AMBER, facts.numbers.refused, hint)
    said = [f"{path} keeps its old number" for path in outcome.unchanged_paths]
    yield _check(
        "accounts.files", "files follow their accounts", Verdict.AMBER, said, "chattr -i, then chown it by hand."
    )
    title = "nothing runs under a number that an account had before"
    yield _check(
        "accounts.running", title, Verdict.AMBER, outcome.still_running, "Log in again, or reboot this server."
    )


def check_relay(reason: str) -> Check:
    """Given why no test mail was accepted ("" if one was), return whether this SLAVE can raise an alarm."""
    hint = "config setprop hotsync NotifyRelay MAILSERVER; hotsync-slave: the check turns green when it took a mail."
    said = [reason] if reason else []
    return _check("notify.relay", "this SLAVE can raise an alarm by itself", Verdict.AMBER, said, hint)


def check_room(total: int, free: int) -> Check:
    """Given the size and the free bytes of the disk that holds the replica, return whether it will last."""
    share = free / total if total else 0.0
    verdict = Verdict.GREEN if share > LITTLE_SPACE else Verdict.AMBER if share > NO_SPACE else Verdict.RED
    shown = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} GiB are free"
    hint = "" if verdict is Verdict.GREEN else "Free or add space below /var/lib/hotsync, or keep fewer generations."
    return Check("replica.room", "there is room for generations to come", verdict, shown, hint)


def check_fits(generation: int, needed: int, free: int) -> Check:
    """Given a generation that was refused for lack of room (0: none was), what it needs and what is free now, judge it.

    While it does not fit, nothing new is protected.
    """
    title = "the MASTER's newest generation fits"
    if not generation:
        return Check("replica.fits", title, Verdict.GREEN)
    shown = f"generation {generation} was refused: {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB are free now"
    hint = "Free or add space below /var/lib/hotsync, or keep fewer generations (FloorDays, FloorGenerations)."
    if free >= needed:
        hint = "Run hotsync on the MASTER: now there is room."
    return Check("replica.fits", title, Verdict.AMBER if free >= needed else Verdict.RED, shown, hint)


def check_repositories(said: str) -> Check:
    """Given what is to be known of the MASTER's repositories ("" if nothing), return whether they are settled."""
    hint = "hotsync-slave --accept-repositories shows them with their keys, and asks."
    return _check(
        "packages.repositories", "the MASTER's repositories are settled", Verdict.AMBER, [said] if said else [], hint
    )
