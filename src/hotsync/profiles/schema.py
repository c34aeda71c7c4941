"""The form of a profile: a pydantic model, so that a wrong key or value is a fault with its place."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$", max_length=64)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00]*$", max_length=4096)]
UnitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|path|target|mount)$")]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_.\\@-]+\.service$")]
Mode = Annotated[str, StringConstraints(pattern=r"^(0?[0-7]{3,4})?$")]
AccountPair = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*:[A-Za-z_][A-Za-z0-9_.-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(_Strict):
    """Who the profile is about, in words for people."""

    name: Name
    title: str = Field(min_length=1, max_length=120)
    since: str = ""
    answers: tuple[Name, ...] = ()
    tested: Literal["", "lab", "contract", "table"] = ""
    notes: tuple[str, ...] = ()
    not_carried: tuple[str, ...] = ()


class Detect(_Strict):
    """Any one of these says: this application is here. Nothing at all says: always."""

    packages: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    rhel: tuple[str, ...] = ()
    nethserver: tuple[str, ...] = ()
    paths: tuple[AbsolutePath, ...] = ()
    units: tuple[UnitName, ...] = ()

    @property
    def all_packages(self) -> tuple[str, ...]:
        """Return the packages of every system, each once."""
        return tuple(dict.fromkeys((*self.packages, *self.debian, *self.rhel, *self.nethserver)))


class Files(_Strict):
    """Which paths are carried, which are not, and which stay the SLAVE's own."""

    include: tuple[AbsolutePath, ...] = ()
    exclude: tuple[AbsolutePath, ...] = ()
    protect: tuple[AbsolutePath, ...] = ()
    rebuild: tuple[AbsolutePath, ...] = ()
    settled: Literal["", "required"] = ""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return what is left out: what is excluded, and what is made anew."""
        return (*self.exclude, *self.rebuild)


class Database(_Strict):
    """Databases that the application keeps in a server or in files of their own; no names means all of that engine.

    MariaDB, PostgreSQL, OpenLDAP, Redis and ejabberd's Mnesia are collected whole, whatever is said here.
    """

    engine: Literal["mariadb", "postgresql", "sqlite", "openldap", "tdb", "redis", "mnesia"]
    instance: str = ""
    socket: Annotated[str, StringConstraints(pattern=r"^(/[^\x00]*)?$", max_length=4096)] = ""
    port: int = Field(default=0, ge=0, le=65535)
    names: tuple[str, ...] = ()
    dump: Annotated[str, StringConstraints(pattern=r"^(/[^\x00]*)?$", max_length=4096)] = ""


class Paused(_Strict):
    """A server of the application that keeps its files in a store of its own, from which it recovers after a power cut.

    In each run on the MASTER the unit is paused for a moment, and the folders are carried as of that instant. It must
    run as one user, in a service of the system's; what is carried is said in `[files]`.
    """

    unit: ServiceName
    folders: tuple[AbsolutePath, ...] = Field(min_length=1)


def _has_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    if groups != 1:
        raise ValueError("it must have one group, which is the path")
    return pattern


class Named(_Strict):
    """Where the application's own settings say that its data lies: `hotsync coverage` names it where no rule does.

    Nothing is carried for it: that takes a rule, since a file that is just being written would take all of it away.
    """

    files: tuple[AbsolutePath, ...] = Field(min_length=1)
    pattern: Annotated[str, Field(min_length=3, max_length=500), AfterValidator(_has_one_group)]


class Services(_Strict):
    """Production units: held on the SLAVE until promotion; then those of `start` that ran on the MASTER are started.

    What the MASTER runs is held also where no profile names it, unless it belongs to every machine.

    They start after the databases and in the order of the list, the first ones of all profiles at the same time. Where
    the MASTER did not tell what ran on it, all of `start` counts.
    """

    mute: tuple[UnitName, ...] = ()
    keep: tuple[UnitName, ...] = ()
    start: tuple[UnitName, ...] = ()
    cron: tuple[AbsolutePath, ...] = ()


class Ownership(_Strict):
    """Owner and group by name, and modes, for a tree whose numbers may differ between two installations."""

    path: AbsolutePath
    owner: AccountPair
    folders: Mode = ""
    files: Mode = ""


class Requires(_Strict):
    """What must be so for the application's data to be of use on the SLAVE."""

    not_older: tuple[str, ...] = ()
    databases: bool = False


class Restore(_Strict):
    """Something that is made anew from carried files in a promotion, in this order, before units start.

    It may be made any number of times. What cannot be made is told and stops nothing.
    """

    make: Literal["newaliases", "postmap", "ldconfig", "update-ca-certificates", "systemd-tmpfiles"]
    paths: tuple[AbsolutePath, ...] = ()


class _CheckBase(_Strict):
    title: str = Field(min_length=1, max_length=120)


class UnitCheck(_CheckBase):
    """The unit is active."""

    kind: Literal["unit"]
    unit: UnitName


class PortCheck(_CheckBase):
    """Something accepts connections on the port; `banner` is what it must say first."""

    kind: Literal["port"]
    port: int = Field(ge=1, le=65535)
    banner: str = ""


class HttpCheck(_CheckBase):
    """The URL answers with a status below 500."""

    kind: Literal["http"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://")]


class SmtpCheck(_CheckBase):
    """The mail server takes a mail for the recipient as far as RCPT, and the check account can log in to send."""

    kind: Literal["smtp"]
    port: int = 25
    submission: int = Field(default=587, ge=0, le=65535)
    recipient: str = "postmaster"


class ImapCheck(_CheckBase):
    """A mailbox can be opened: by a login with the site's check account; without one, by root."""

    kind: Literal["imap"]
    port: int = 143


class SmbCheck(_CheckBase):
    """The file server lists its shares to the site's check account; without one, it answers."""

    kind: Literal["smb"]


class MariadbCheck(_CheckBase):
    """A login over the socket works and every database can be listed with its tables."""

    kind: Literal["mariadb"]


class PostgresqlCheck(_CheckBase):
    """A login to every cluster works and every database can be entered."""

    kind: Literal["postgresql"]


class LdapCheck(_CheckBase):
    """The directory server answers to a bind, and so does each of its databases."""

    kind: Literal["ldap"]


class RedisCheck(_CheckBase):
    """A login to every Redis server works, and it answers to PING."""

    kind: Literal["redis"]


class EjabberdCheck(_CheckBase):
    """The server says that it has started."""

    kind: Literal["ejabberd"]


CheckSpec = Annotated[
    UnitCheck
    | PortCheck
    | HttpCheck
    | SmtpCheck
    | ImapCheck
    | SmbCheck
    | MariadbCheck
    | PostgresqlCheck
    | LdapCheck
    | RedisCheck
    | EjabberdCheck,
    Field(discriminator="kind"),
]


class Profile(_Strict):
    """One application."""

    profile: Header
    detect: Detect = Detect()
    files: Files = Files()
    databases: tuple[Database, ...] = ()
    paused: tuple[Paused, ...] = ()
    named: tuple[Named, ...] = ()
    services: Services = Services()
    ownership: tuple[Ownership, ...] = ()
    requires: Requires = Requires()
    restore: tuple[Restore, ...] = ()
    checks: tuple[CheckSpec, ...] = ()

    @property
    def name(self) -> str:
        """Return the profile's name."""
        return self.profile.name


KEPT_FOR_LATER = frozenset((
    "databases.engine", "databases.instance", "databases.socket", "databases.port", "databases.names", "databases.dump",
    "services.cron", "ownership.path", "ownership.owner", "ownership.folders", "ownership.files",
))  # fmt: skip
"""Keys that may be written, and that nothing acts on in this version."""
