"""The man page hotsync-profile(5), from the same words as docs/profiles.md."""

from __future__ import annotations

from docs.generators._profile_keys import checks, description_of, kind_of
from docs.generators.profiles import EXAMPLE, INTRODUCTION, RULES, about, default_of, heading, keys_of, own_keys
from hotsync.profiles.schema import Profile


def man_page(version: str, date: str) -> str:
    """Given the package's version and date, return the page as roff."""
    return (
        f'.TH "HOTSYNC-PROFILE" "5" "{date}" "{version}" "HotSync"\n'
        ".SH NAME\nhotsync\\-profile \\- what HotSync knows of an application\n"
        ".SH SYNOPSIS\n/etc/hotsync/profiles.d/NAME.toml\n"
        f".SH DESCRIPTION\n{_prose(INTRODUCTION.partition('## ')[0])}"
        f".SH WHICH RULE DECIDES\n{_prose(RULES.partition('## Which rule decides')[2].partition('## ')[0])}"
        f".SH KEYS\n{''.join(_section(name) for name in Profile.model_fields)}"
        f".SH EXAMPLE\n.nf\n{_escaped(EXAMPLE)}.fi\n"
        ".SH SEE ALSO\nhotsync(8), /usr/share/doc/hotsync/profiles.md\n"
    )


def _section(section: str) -> str:
    text = f".SS {_escaped(heading(section))}\n{_escaped(about(section))}\n"
    if section == "checks":
        for check in checks():
            text += (
                f'.TP\n\\fBkind = "{kind_of(check)}"\\fP\n{_escaped(description_of(check))} Keys: {own_keys(check)}.\n'
            )
    for key in keys_of(section):
        text += (
            f".TP\n\\fB{key.name}\\fP ({_escaped(key.form)}; {_escaped(default_of(key))})\n{_escaped(key.meaning)}\n"
        )
    return text


def _prose(markdown: str) -> str:
    """Given paragraphs and lists in Markdown, return them as roff."""
    text = ""
    for line in markdown.splitlines():
        if line.startswith("# "):
            continue
        if line.startswith("* "):
            text += f".IP * 2\n{_escaped(line[2:])}\n"
        else:
            text += f"{_escaped(line)}\n" if line else ".PP\n"
    return text.removeprefix(".PP\n").removesuffix(".PP\n")


def _escaped(text: str) -> str:
    plain = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-")
    words = "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in plain.split("\n"))
    return words.replace("*include*", "include").replace("*exclude*", "exclude").replace("*protect*", "protect")
