"""docs/profiles.md: how a profile is written, every key, and the profiles that come with HotSync."""

from __future__ import annotations

from docs.generators import table
from docs.generators._original import PACKAGES
from docs.generators._profile_keys import Key, checks, description_of, keys, kind_of, model_of
from hotsync.profiles.catalog import shipped
from hotsync.profiles.schema import Detect, Profile

PATH = "docs/profiles.md"

INTRODUCTION = """# Profiles

A profile is what HotSync knows of one application, as a TOML file. It says; it never does.

HotSync comes with some profiles. Your own lie in `/etc/hotsync/profiles.d/NAME.toml` on the MASTER; one with the name
of a shipped profile replaces it. A profile that cannot be read is named in the system log with each of its faults, and
left out.

A profile counts when its application is on the server: when one of its packages is installed, or one of its paths
exists. A profile whose `[detect]` is empty always counts. The order of profiles means nothing.

`/usr/share/doc/hotsync/profile.schema.json` is the same as a JSON schema, for editors.

## An example

"""

EXAMPLE = """[profile]
name = "ledger"
title = "Ledger, our bookkeeping"

[detect]
paths = ["/opt/ledger"]

[files]
include = ["/opt/ledger", "/etc/ledger"]
exclude = ["/opt/ledger/cache", "/opt/ledger/**/*.tmp"]
protect = ["/etc/ledger/machine.conf"]

[services]
mute = ["ledger.service", "ledger-mail.timer"]
start = ["ledger.service"]

[[checks]]
kind = "http"
url = "http://localhost:8080/"
title = "bookkeeping answers"
"""

RULES = """
## Which rule decides

Paths are absolute. A path means itself and all that lies in it. In a pattern `*`, `?` and `[...]` stay within one name,
and `**` also stands for any number of folders.

Of all rules that match a path, the one that names it most closely decides: the one with the most parts; with as many
parts, one without wildcards. Between equals `protect` beats all; else what the site's lists and plugins say beats
what a profile says, and that beats that a disk is mounted there; of one voice, `include` beats `exclude`. So a site can
carry again what a shipped profile leaves out, and leave out what is carried by default, by naming it.

* *include*: it is carried.
* *exclude*: it is not carried. After a promotion it is absent: what the SLAVE had there is set aside.
* *protect*: it is not carried, and what the SLAVE has there stays where it is.

What no rule names is not carried.

## The keys

"""

SHIPPED = """## The profiles that come with HotSync

Every package of the original's list is answered by a profile. A name in a column is the package by which the
application is found on that system; *by path* means that it is found by where it lies, or by its unit, because that
system has no package of it; a dash, that it does not exist there. HotSync itself runs on Debian and its relatives so
far: names of NethServer 7 and RHEL were taken from reading, and nothing was tried there.

*Tried* says how: `lab`, on two booted servers that were promoted; `contract`, the real program in a test; `table`,
its units, jobs and settings against the contents of Debian 12's packages; a dash, only that the rules do what it says,
since Debian 12 has no package of it.

### The packages of the original's list

"""

OTHERS = """
### Others

"""

SPECIAL = """
### What is special

"""


def render() -> str:
    """Return the page."""
    return (
        INTRODUCTION
        + "```toml\n" + EXAMPLE + "```\n"
        + RULES
        + "".join(_section(name) for name in Profile.model_fields)
        + SHIPPED
        + table(("", "package", *_COLUMNS), [_answer(number, name) for number, name in enumerate(PACKAGES, start=1)])
        + OTHERS
        + table(("application", *_COLUMNS), [_other(about) for about in _all() if not about.profile.answers])
        + SPECIAL
        + table(
            ("profile", "application", "what is special"),
            [(f"`{about.name}`", about.profile.title, " ".join(about.profile.notes)) for about in _all()],
        )
    )  # fmt: skip


def keys_of(section: str) -> list[Key]:
    """Given a section, return its keys, each once (the kinds of checks share some)."""
    found = [key for key in keys() if key.table.strip("[]") == section]
    unique = {key.name: key for key in found}
    return [key for key in unique.values() if not (section == "checks" and key.name == "kind")]


def heading(section: str) -> str:
    """Given a section, return its table as TOML has it."""
    return next(key.table for key in keys() if key.table.strip("[]") == section)


def about(section: str) -> str:
    """Given a section, return what it is about."""
    model = model_of(section)
    return description_of(model) if model else "Questions to the running application; asked at the end of a promotion."


def _section(section: str) -> str:
    text = f"### `{heading(section)}`\n\n{about(section)}\n\n"
    if section == "checks":
        kinds = [(f"`{kind_of(check)}`", description_of(check), _ticked(own_keys(check))) for check in checks()]
        text += table(("kind", "what must be so", "its keys"), kinds) + "\n"
    rows = [(f"`{key.name}`", key.form, default_of(key), key.meaning) for key in keys_of(section)]
    return text + table(("key", "form", "default", "meaning"), rows) + "\n"


def default_of(key: Key) -> str:
    """Given a key, return its default; one that several kinds of checks share may have several."""
    several = dict.fromkeys(one.default for one in keys() if (one.table, one.name) == (key.table, key.name))
    return " or ".join(several)


def own_keys(check: type) -> str:
    """Given a kind of check, return its keys besides `kind`."""
    return ", ".join(key.name for key in keys() if key.model == check.__name__ and key.name != "kind")


def _ticked(words: str) -> str:
    return ", ".join(f"`{word}`" for word in words.split(", "))


_COLUMNS = ("profile", "NethServer", "Debian", "RHEL", "tried", "what is not carried")


def _all() -> list[Profile]:
    return sorted(shipped().values(), key=lambda profile: profile.name)


def _answer(number: int, package: str) -> tuple[str, ...]:
    answering = [profile for profile in _all() if package in profile.profile.answers]
    return str(number), package, *_columns(answering)


def _other(profile: Profile) -> tuple[str, ...]:
    return profile.profile.title, *_columns([profile])


def _columns(profiles: list[Profile]) -> tuple[str, ...]:
    tried: list[str] = sorted({profile.profile.tested for profile in profiles})
    if len(tried) > 1:
        tried = [f"{profile.profile.tested or '—'} ({profile.name})" for profile in profiles]
    return (
        ", ".join(f"`{profile.name}`" for profile in profiles),
        *(_found(profiles, system) for system in ("nethserver", "debian", "rhel")),
        ", ".join(tried).strip(", ") or "—",
        " ".join(sentence for profile in profiles for sentence in profile.profile.not_carried),
    )


def _found(profiles: list[Profile], system: str) -> str:
    """Given profiles, return by what they are found on a system."""
    names = [name for profile in profiles for name in getattr(profile.detect, system)]
    if names:
        return ", ".join(dict.fromkeys(names))
    if any(profile.detect.paths or profile.detect.units for profile in profiles):
        return "by path"
    return "always" if any(profile.detect == Detect() for profile in profiles) else "—"
