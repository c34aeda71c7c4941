"""Profiles, the site's lists and the host's mounts become one selection, each rule with its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hotsync.model.mail_queue import QUEUES
from hotsync.model.per_host import per_host_rules
from hotsync.model.selection import Action, Rule, Selection, Voice
from hotsync.profiles.schema import Files, Profile

LOCAL_FILE_SYSTEMS = frozenset(
    (
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "jfs",
        "f2fs",
        "reiserfs",
        "bcachefs",
        "nilfs2",
        "vfat",
        "exfat",
        "ntfs3",
    )
)
# mounted there, it is this host's own or a medium that comes and goes
NEVER_FROM_MOUNTS = frozenset(
    f"/{name}"
    for name in ("", "boot", "efi", "usr", "var", "var/log", "var/cache", "run", "tmp", "var/tmp", "dev", "proc", "sys",
                 "media", "var/lib", "var/lib/hotsync")
)  # fmt: skip

Expand = Callable[[str], Iterable[str]]
"""Given an include pattern with wildcards, return the paths that it names on this host now."""


def profile_rules(profile: Profile, expand: Expand) -> list[Rule]:
    """Given a profile, return its rules; include patterns with wildcards become the paths that they name now."""
    origin = f"profile {profile.name}"
    said: list[tuple[str, Action]] = []
    for pattern in profile.files.include:
        paths = expand(pattern) if any(sign in pattern for sign in "*?[") else (pattern,)
        said += [(path, Action.INCLUDE) for path in paths]
    said += [(path, Action.EXCLUDE) for path in profile.files.left_out]
    said += [(path, Action.PROTECT) for path in profile.files.protect]
    return [Rule(path.rstrip("/"), action, origin, Voice.PROFILE) for path, action in said]


def protecting(profile: Profile) -> Profile:
    """Given the profile of an application that the MASTER has not, return what holds of it: what stays the SLAVE's own.

    What else it says would leave out what the MASTER carried there for another reason.
    """
    return profile.model_copy(update={"files": Files(protect=profile.files.protect)})


def queue_rules() -> tuple[Rule, ...]:
    """Return the rules that carry the queues of mail servers, for a site that wants that.

    One root each, since a queue that is empty is no accident; what else lies there belongs to the server that runs
    there, also the mail that was given to it and not taken into the queue yet.
    """
    said = [(queue.root, Action.INCLUDE) for queue in QUEUES]
    said += [(f"{queue.root}/{name}", Action.PROTECT) for queue in QUEUES for name in queue.own]
    return tuple(Rule(f"/{path}", action, "setting MailQueue", Voice.PROFILE) for path, action in said)


def required_paths(profiles: Iterable[Profile], expand: Expand) -> tuple[str, ...]:
    """Given the matching profiles, return the paths that come whole and settled, or stay as they were."""
    rules = (rule for profile in profiles if profile.files.settled for rule in profile_rules(profile, expand))
    return tuple(rule.pattern for rule in rules if rule.action is Action.INCLUDE)


def databases_lacking(profiles: Iterable[Profile]) -> tuple[str, ...]:
    """Given the profiles of a MASTER that carries no databases, return what is wrong with that, a sentence each."""
    return tuple(
        f"{profile.profile.title}: it does not work after a promotion without its databases, and databases are not "
        "carried (config setprop hotsync databases enabled)"
        for profile in profiles
        if profile.requires.databases
    )


def mount_rules(mounts: Iterable[tuple[str, str]]) -> list[Rule]:
    """Given (mount point, file system) of a host, return an include for each local one that may hold data."""
    return [
        Rule(point, Action.INCLUDE, f"mounted {kind} file system", Voice.MOUNT)
        for point, kind in mounts
        if kind in LOCAL_FILE_SYSTEMS
        and point not in NEVER_FROM_MOUNTS
        and not point.startswith(("/boot/", "/run/", "/media/"))
    ]


def resolve(
    profiles: Sequence[Profile], mounts: Iterable[tuple[str, str]], site: Iterable[Rule], expand: Expand
) -> Selection:
    """Given the matching profiles, the mounts and the site's own rules, return the selection of this run."""
    rules = [*mount_rules(mounts), *per_host_rules()]
    for profile in profiles:
        rules += profile_rules(profile, expand)
    return Selection([*rules, *site])


def application_of(rule: Rule | None) -> str:
    """Given the rule that decided, return the application's name as reports show it."""
    if rule is None:
        return "none"
    return rule.origin.removeprefix("profile ")
