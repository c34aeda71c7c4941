"""The commands `config` and `db`: verbs, output and exit codes are the original's, so that old scripts go on working.

They run often and from scripts, so they read their few arguments themselves and import little.
"""

from __future__ import annotations

import os
import sys

from hotsync.cli.database_verbs import NOTHING, VERBS, Misuse, Session
from hotsync.config import esmith
from hotsync.errors import HotSyncError, UsageError
from hotsync.state.configdb import ConfigDb, find_database
from hotsync.system.paths import Paths, from_environment

MISUSED = 255
NOW = "--now"

ABOUT_CONFIG = """\
config: the configuration database of this server

config VERB ... is db configuration VERB ...; each command writes the file once, whole.
Settings are listed in /usr/share/doc/hotsync/settings.md. After a change of them:
    signal-event nethserver-hotsync-save
`config setprop hotsync databases streaming` says first what streaming needs of the MariaDB servers here; with `--now`
at its end it also saves, and restarts what must be restarted.
"""
ABOUT_DB = """\
db: the e-smith databases of this server

DBFILE is a name, looked up in the folder of the databases, or an absolute path.
Each command writes the file once, whole. Exit: 0 done, 1 not there, 2 cannot be stored, 255 usage.
"""


def usage(program: str) -> str:
    """Return the usage text of all verbs."""
    return "usage:\n" + "".join(f"    {program} {verb} {words}".rstrip() + "\n" for verb, (_, words) in VERBS.items())


def _arguments() -> list[str]:
    return [esmith.to_text(os.fsencode(word)) for word in sys.argv[1:]]


def _write(stream: int, text: str) -> None:
    data = esmith.to_bytes(text)
    while data:
        data = data[os.write(stream, data) :]


def _open(name: str, paths: Paths, program: str) -> ConfigDb:
    if "::" in name:
        raise UsageError(
            reason=f"{name} is a Perl class of NethServer, not a database", hint="Use the system's own tools."
        )
    db = find_database(name, paths, ident=program, prefix=os.environ.get("DBPATH"))
    if paths.at("/home/e-smith") in db.path.parents:
        _write(2, f"Database found in old location {db.path}\n")
    return db


def _run(program: str, name: str, words: list[str], paths: Paths) -> int:
    shown = program if program == "config" else f"{program} dbfile"
    verb, *args = words or [""]
    asked = name == "configuration" and streaming_asked(verb, args)
    if asked and args[-1] == NOW:
        args.pop()
        now = True
    else:
        now = False
    if not name or verb not in VERBS:
        _write(2, usage(shown))
        return MISUSED
    line = f"{shown} {verb} {VERBS[verb][1]}".rstrip()
    try:
        session = Session(_open(name, paths, program), line, lambda: sys.stdin.buffer.read())
        status = VERBS[verb][0](session, args)
    except Misuse as misuse:
        _write(2, f"usage: {misuse}\n")
        return MISUSED
    except HotSyncError as error:
        _write(2, f"{program}: {error.sentence}\n{error.hint}\n")
        return int(error.exit_code)
    except OSError as error:
        _write(2, f"{program}: {error.filename or name}: {error.strerror}\n")
        return NOTHING
    _write(2, "".join(f"{warning}\n" for warning in session.warnings))
    _write(1, "".join(session.out))
    return _stream(paths, program, now=now) if asked and not status else status


def streaming_asked(verb: str, args: list[str]) -> bool:
    """Return whether these words set the prop `databases` of `hotsync` to `streaming`."""
    pairs = dict(zip(args[1::2], args[2::2], strict=False))
    return verb == "setprop" and args[:1] == ["hotsync"] and pairs.get("databases") == "streaming"


def _stream(paths: Paths, program: str, *, now: bool) -> int:
    """Say what streaming changes on the servers of this host, or do it; return the exit status."""
    from hotsync.flows import streaming  # seldom needed, and much

    try:
        streaming.switch_on(paths, lambda sentence: _write(2, f"{sentence}\n"), now=now)
    except HotSyncError as error:
        _write(2, f"{program}: {error.sentence}\n{error.hint}\n")
        return int(error.exit_code) if now else 0  # the setting is stored; the save says the same
    return 0


def _finish(program: str, name: str, words: list[str]) -> int:
    try:
        return _run(program, name, words, from_environment())
    except BrokenPipeError:
        return NOTHING
    except KeyboardInterrupt:
        return 130


def config() -> int:
    """Run `config VERB ...`."""
    words = _arguments()
    if words[:1] in (["--help"], ["-h"]):
        _write(1, f"{ABOUT_CONFIG}\n{usage('config')}")
        return 0
    return _finish("config", "configuration", words)


def db() -> int:
    """Run `db DBFILE VERB ...`."""
    name, *words = _arguments() or [""]
    if name in ("--help", "-h"):
        _write(1, f"{ABOUT_DB}\n{usage('db dbfile')}")
        return 0
    return _finish("db", name, words)
