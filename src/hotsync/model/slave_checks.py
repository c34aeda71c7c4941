"""Readiness of a waiting SLAVE as checks: pure, from what was read and what a run could not do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hotsync.model.generation import DatasetPoint
from hotsync.model.ports.package_manager import Hints
from hotsync.model.report import Check, Verdict
from hotsync.model.standby import StandbyFacts

LITTLE_SPACE, NO_SPACE = 0.10, 0.02


def listed(said: Sequence[str], most: int = 8) -> str:
    """Given sentences, return them as one detail, the first few of many."""
    return "; ".join(said[:most]) + (f"; and {len(said) - most} more" if len(said) > most else "")


def judged(name: str, title: str, verdict: Verdict, said: Sequence[str], hint: str, good: str = "") -> Check:
    """Given what speaks against it, return a check with this verdict, or a green one if nothing does."""
    return Check(name, title, verdict, listed(said), hint) if said else Check(name, title, Verdict.GREEN, good)


def check_quiet(said: Sequence[str], held: int) -> Check:
    """Given what runs of production in a person's words, return the mute's proof."""
    hint = "Find out who started it, and stop it: until a promotion nothing of production runs here."
    title = "nothing of production runs here"
    return judged("mute.quiet", title, Verdict.RED, said, hint, f"{held} units are held")


def check_listening(said: Sequence[str]) -> Check:
    """Given who listens and is neither the machine's, nor HotSync's, nor kept, return the proof by sockets."""
    title = "who listens here belongs to this machine"
    hint = (
        "Stop it if nobody needs it here. If this server needs it while it is a SLAVE, name its unit under "
        "services.keep of a profile in /etc/hotsync/profiles.d on this server."
    )
    return judged("mute.listening", title, Verdict.AMBER, said, hint)


def check_locales(failed: Mapping[str, str], hints: Hints) -> Check:
    """Given the locales of the MASTER that could not be made, with reasons, return whether all are here."""
    said = [f"{name} ({reason})" for name, reason in sorted(failed.items())]
    hint = f"{hints.install} {hints.locales}, then hotsync-slave: programs of the MASTER may ask for them."
    return judged("packages.locales", "the MASTER's locales are here", Verdict.AMBER, said, hint)


def check_fresh(datasets: Iterable[DatasetPoint]) -> Check:
    """Given what the newest generation has of databases, return whether each is a copy of that generation's moment."""
    title = "every database has a fresh copy"
    hint = "A promotion brings it as old as it is here. `hotsync status` on the MASTER has the reason; mend it there."
    return judged("databases.fresh", title, Verdict.AMBER, [point.trouble for point in datasets if point.trouble], hint)


def check_loads(refused: Mapping[str, str], failed: Mapping[str, str], left: Mapping[str, str]) -> Check:
    """Given the database servers whose dumps cannot be loaded, those that could not be loaded beforehand, and those
    that are left to a promotion, with the reasons, return whether a promotion finds them loaded.

    A dump that a server refuses today it refuses on the day.
    """
    name, title = "databases.beforehand", "databases are loaded beforehand"
    others = [f"{each}: {reason}" for each, reason in sorted(failed.items())]
    if refused:
        said = [f"{each}: {reason}; a promotion would stop there" for each, reason in sorted(refused.items())]
        hint = (
            "Remove the cause that is named: on the MASTER (then run hotsync there), or here if this server lacks "
            "something; then run hotsync-slave. All else is loaded that can be. `journalctl -u hotsync-slave` has more."
        )
        return judged(name, title, Verdict.RED, said + others, hint)
    hint = "A promotion loads them, which takes it longer. `journalctl -u hotsync-slave` has more."
    good = listed([f"left to the promotion: {each} ({reason})" for each, reason in sorted(left.items())])
    return judged(name, title, Verdict.AMBER, others, hint, good)


def check_forms(others: Mapping[str, str]) -> Iterator[Check]:
    """Given the PostgreSQL clusters here whose files have another form than the MASTER's, with what differs, return
    that they will not be as the MASTER's; nothing is said where there is none."""
    said = [f"{name}: {what}" for name, what in sorted(others.items())]
    hint = (
        "A promotion uses the data directory that is here. Move it away if nothing in it is needed: it is then made as "
        "the MASTER's. Or, while its server is stopped: pg_checksums --enable."
    )
    if said:
        yield judged("databases.form", "clusters have the form of the MASTER's", Verdict.AMBER, said, hint)


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
        yield judged("databases.streamed", "streamed databases follow the MASTER", Verdict.AMBER, said, hint, good)
    kept = [path for each in known if len(each.beside) > 1 for path in each.beside]
    hint = "They are databases that this server served before. Delete those that nobody needs; nothing of HotSync does."
    if kept:
        title = "no former databases fill the disk"
        yield judged("databases.former", title, Verdict.AMBER, kept, hint)


def check_accounts(
    refused: Sequence[str], left: Sequence[str], running: Sequence[str], foreign: str = ""
) -> Iterator[Check]:
    """Given which accounts cannot have their number, which files could not follow theirs, what runs under a number of
    before, and which numbers are known without an account, return whether the MASTER's accounts have their numbers."""
    title = "the MASTER's accounts have their numbers here"
    hint = "Accounts that cannot be made are carried all the same; see what they are on the MASTER."
    yield judged("accounts.numbers", title, Verdict.AMBER, refused, hint, foreign)
    hint = "Mount their file system read-write, then hotsync-slave fixperm; or chown them by hand, or delete them."
    yield judged("accounts.files", "files follow their accounts", Verdict.AMBER, left, hint)
    title = "nothing runs under a number that an account had before"
    yield judged("accounts.running", title, Verdict.AMBER, running, "Log in again, or reboot this server.")


def check_relay(reason: str) -> Check:
    """Given why no test mail was accepted ("" if one was), return whether this SLAVE can raise an alarm."""
    hint = "config setprop hotsync NotifyRelay MAILSERVER; hotsync-slave: the check turns green when it took a mail."
    said = [reason] if reason else []
    return judged("notify.relay", "this SLAVE can raise an alarm by itself", Verdict.AMBER, said, hint)


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
