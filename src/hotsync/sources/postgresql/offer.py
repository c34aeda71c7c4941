"""Whether a MASTER's PostgreSQL cluster lets anybody follow it: asked before it is streamed, and while it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hotsync.errors import CommandFailed
from hotsync.sources.postgresql.cluster import Login, ask_json, detail
from hotsync.system import command

_ASKED = """SELECT json_build_object('senders', current_setting('max_wal_senders')::int,
  'level', current_setting('wal_level'))"""
_SECONDS = 60.0


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    senders: int
    level: str


def settings_fault(login: Login) -> str:
    """Return in words which settings of a cluster keep everybody from following it, "" if none does; raise
    CommandFailed or ValueError."""
    found = _Settings.model_validate(ask_json(login, _ASKED))
    wrong = ["wal_level is minimal (set it to replica)"] if found.level == "minimal" else []
    wrong += ["max_wal_senders is 0 (10 is usual)"] if not found.senders else []
    return f"{' and '.join(wrong)}, which only a restart of it changes" if wrong else ""


def refusal(login: Login) -> str:
    """Return in words why a cluster would not be followed, its pg_hba.conf asked, too, "" if it would; raise
    CommandFailed or ValueError if it does not answer at all."""
    if fault := settings_fault(login):
        return fault
    words = f"host='{login.socket}' port={login.port} user='{login.user}' replication=true"
    argv = [login.tool("psql"), "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--no-password"]
    asked = [*argv, f"--dbname={words}", "--command=IDENTIFY_SYSTEM"]
    try:
        command.run(asked, user=login.user, env=login.environment, cwd="/", timeout=_SECONDS)
    except CommandFailed as error:
        return detail(error)
    return ""
