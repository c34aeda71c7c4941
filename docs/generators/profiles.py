"""docs/profiles.md: how a profile is written, every key, and the profiles that come with HotSync."""

from __future__ import annotations

from docs.generators import table
from docs.generators._profile_keys import Key, checks, description_of, keys, kind_of, model_of
from hotsync.profiles.catalog import shipped
from hotsync.profiles.schema import Header, Profile

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

SHIPPED = """*Tried* says how: `lab`, on two booted servers that were promoted; `contract`, the real program in a test;
`table`, its paths, units and jobs against the contents of Debian 12's packages, where there is one.

"""


def render() -> str:
    """Return the page."""
    return (
        INTRODUCTION
        + "```toml\n" + EXAMPLE + "```\n"
        + RULES
        + "".join(_section(name) for name in Profile.model_fields)
        + "## The profiles that come with HotSync\n\n"
        + SHIPPED
        + table(
            ("profile", "application", "tried", "what is special", "what is not carried"),
            [_row(profile.profile) for profile in sorted(shipped().values(), key=lambda profile: profile.name)],
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


def _row(about: Header) -> tuple[str, ...]:
    return f"`{about.name}`", about.title, about.tested, " ".join(about.notes), " ".join(about.not_carried)
