"""A promotion with large databases: loaded on the day, loaded beforehand, and streamed, in one run, in the lab.

    .venv/bin/python -m bench.promotion [--megabytes 5120] [--out docs/bench]

Needs root and what the lab needs (docs/lab.md). Each engine gets a database of that size on the MASTER. The same state
of both hosts is promoted three times: as if hotsync-slave had loaded nothing; after it did, with some newer rows to be
loaded; and with both streamed, with rows that no generation holds. All rows are counted after each; a difference
ends the benchmark with 1. docs/bench.md tells the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import Host, Lab
from lab.command import LabError

MASTER, SLAVE = "10.77.0.1", "10.77.0.2"
_LOOK_SECONDS = 0.05
_SHORT_SECONDS = 0.1
_LOAD = "databases.load"
_ROW = 1000
"""About how many bytes a row takes, with its index."""

_FILL_MARIADB = """
CREATE DATABASE large; CREATE DATABASE small; USE large;
CREATE TABLE large.t (id int PRIMARY KEY, at int, what varchar(1000), KEY (at));
INSERT INTO large.t SELECT seq, seq * 7919 % 1000003, CONCAT(SHA2(seq, 512), REPEAT(SHA2(seq + 1, 512), 5))
  FROM seq_1_to_{rows};
CREATE TABLE small.t (id int PRIMARY KEY);
"""
_FILL_POSTGRESQL = """
CREATE TABLE t (id int, at int, what text);
INSERT INTO t SELECT n, n * 7919::bigint % 1000003,
  repeat(encode(sha512(n::text::bytea), 'hex'), 6) FROM generate_series(1, {rows}) n;
ALTER TABLE t ADD PRIMARY KEY (id); CREATE INDEX ON t (at);
"""
_POSTGRESQL_CAUGHT_UP = """
cd /; runuser -u postgres -- psql -h /run/hotsync/warm/postgresql@15-main/socket -XAtq -d small \\
  -c 'SELECT count(*) FROM t' | grep -qx 3
"""
_MARIADB_CAUGHT_UP = """
mysql --no-defaults -S /run/hotsync/warm/mariadb@default/socket/mysqld.sock -N -e 'SELECT COUNT(*) FROM small.t' \
  | grep -qx 3
"""
_LATER = "INSERT INTO {table} SELECT * FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) AS later"


class BenchError(Exception):
    """The benchmark could not measure, or what came back is not what was there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured: seconds, and the resident memory of HotSync's own programs at the worst moment."""

    what: str
    seconds: float
    memory: int
    steps: dict[str, float] = field(default_factory=dict[str, float])


@contextmanager
def watched(what: str, rows: list[Row]) -> Iterator[dict[str, float]]:
    """Measure the block; what is put into the yielded dictionary becomes the row's steps."""
    over, worst = threading.Event(), [0]

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            worst[0] = max(worst[0], own_memory())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    steps: dict[str, float] = {}
    began = time.monotonic()
    try:
        yield steps
    finally:
        seconds = time.monotonic() - began
        over.set()
        thread.join()
    rows.append(Row(what, seconds, worst[0], steps))
    print(f"{what}: {seconds:.1f} s, {worst[0] / 1e6:.0f} MB", file=sys.stderr, flush=True)


def own_memory() -> int:
    """Return the resident bytes of HotSync's programs in all hosts (no database server, no client of one)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if b"/usr/lib/hotsync/" in (folder / "cmdline").read_bytes():
                total += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def _json(host: Host, *argv: str) -> dict[str, Any]:
    done = host.run([*argv, "--json"], check=False, timeout=24 * 3600)
    if done.returncode not in (0, 1):
        raise BenchError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _psql(host: Host, sql: str, database: str) -> str:
    done = host.run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database], input=sql, timeout=24 * 3600)
    return done.stdout.strip()


def _mysql(host: Host, sql: str) -> str:
    return host.run(["mysql", "-N"], input=sql, timeout=24 * 3600).stdout.strip()


def fill(master: Host, megabytes: int) -> int:
    """Make the databases on the MASTER; return how many rows each large table has."""
    rows = megabytes * 1024 * 1024 // _ROW
    _mysql(master, _FILL_MARIADB.format(rows=rows))
    master.run("cd /; runuser -u postgres -- createdb large; runuser -u postgres -- createdb small")
    _psql(master, _FILL_POSTGRESQL.format(rows=rows), "large")
    _psql(master, "CREATE TABLE t (id int PRIMARY KEY)", "small")
    return rows


def configure(lab: Lab) -> None:
    """The manual's configuration of both hosts; runs are started by hand only."""
    sides = ((lab.slave, "slave", "MasterHost", MASTER), (lab.master, "master", "SlaveHost", SLAVE))
    for host, role, prop, peer in sides:
        host.run(f"config setprop rsyncd password goofy; config setprop hotsync role {role} {prop} {peer}")
        host.run("signal-event nethserver-hotsync-save", timeout=300)
    stop_timers(lab)


def stop_timers(lab: Lab) -> None:
    """Let nothing run but what is measured."""
    lab.master.run("systemctl stop hotsync.timer; systemctl disable -q hotsync.timer")
    lab.slave.run("systemctl disable -q --now hotsync-slave.timer hotsync-drill.timer")
    wait_for(lab.master, "systemctl show -P ActiveState hotsync.service | grep -qE 'inactive|failed'")


def check(slave: Host, rows: int, later: int) -> None:
    """Raise BenchError unless all rows are there."""
    found = [
        int(_mysql(slave, "SELECT COUNT(*) FROM large.t")), int(_mysql(slave, "SELECT COUNT(*) FROM small.t")),
        int(_psql(slave, "SELECT count(*) FROM t", "large")), int(_psql(slave, "SELECT count(*) FROM t", "small")),
    ]  # fmt: skip
    wanted = [rows, later, rows, later]
    if found != wanted:
        raise BenchError(f"after the promotion there are {found} rows, not {wanted}")


def wait_for(host: Host, question: str) -> None:
    """Wait until a shell question is answered yes; raise BenchError after five minutes."""
    end = time.monotonic() + 300
    while host.run(question, check=False).returncode != 0:
        if time.monotonic() > end:
            raise BenchError(f"{host.name}: in vain waited for: {question}")
        time.sleep(0.2)


def promote(lab: Lab, what: str, measured: list[Row]) -> None:
    """Cut the MASTER's power and promote the SLAVE."""
    lab.master.kill()
    with watched(what, measured) as steps:
        document = _json(lab.slave, "hotsync-promote", "--yes")
    for step in document["steps"]:
        kind, _, what = step["key"].partition(":")
        steps[f"{kind} {what.partition(':')[0]}".strip()] = round(step["seconds"], 2)


def compare(lab: Lab, megabytes: int) -> tuple[list[Row], dict[str, int]]:
    """Measure both ways; return the rows, and the sizes in bytes of data, dumps and spool."""
    measured: list[Row] = []
    rows = fill(lab.master, megabytes)
    configure(lab)
    with watched("first sync", measured):
        _json(lab.master, "hotsync")
    spool = int(lab.master.run("du -sb /var/lib/hotsync/spool | cut -f1").stdout)
    beside = int(lab.master.run("du -sb /var/lib/hotsync/collecting 2>/dev/null | cut -f1; true").stdout or 0)
    data = int(lab.master.run("du -sbc /var/lib/mysql /var/lib/postgresql | tail -1 | cut -f1").stdout)
    with watched("sync of nothing new", measured):
        _json(lab.master, "hotsync")
    lab.slave.run("config setprop hotsync WarmMinutes 0")
    _json(lab.slave, "hotsync-slave")
    lab.slave.run("config setprop hotsync WarmMinutes 1440")
    lab.save("ready")

    promote(lab, "promotion, loaded on the day", measured)
    check(lab.slave, rows, 0)

    lab.revert("ready")
    with watched("hotsync-slave, loads beforehand", measured):
        _json(lab.slave, "hotsync-slave")
    with watched("hotsync-slave, nothing new", measured):
        _json(lab.slave, "hotsync-slave")
    _mysql(lab.master, _LATER.format(table="small.t"))
    _psql(lab.master, _LATER.format(table="t"), "small")
    with watched("sync of a few new rows", measured):
        _json(lab.master, "hotsync")
    promote(lab, "promotion, loaded beforehand", measured)
    check(lab.slave, rows, 3)

    lab.revert("ready")
    lab.master.run("config setprop hotsync databases streaming; signal-event nethserver-hotsync-save")
    stop_timers(lab)
    lab.master.run("config setprop hotsync databases streaming --now", timeout=300)
    _json(lab.master, "hotsync")
    wait_for(lab.slave, "test -S /run/hotsync/stream/15-main/.s.PGSQL.5432")
    wait_for(lab.slave, "test -S /run/hotsync/stream/mariadb@default/mysqld.sock")
    with watched("hotsync-slave, makes both followers", measured):
        _json(lab.slave, "hotsync-slave")
    _mysql(lab.master, _LATER.format(table="small.t"))
    _psql(lab.master, _LATER.format(table="t"), "small")
    for caught_up in (_POSTGRESQL_CAUGHT_UP, _MARIADB_CAUGHT_UP):
        wait_for(lab.slave, caught_up)
    promote(lab, "promotion, both streamed", measured)
    check(lab.slave, rows, 3)
    return measured, {"data": data, "spool": spool, "collecting": beside}


def render(measured: list[Row], sizes: dict[str, int]) -> str:
    """Return the table."""
    seconds = {row.what: row.seconds for row in measured}
    lines = ["| what | seconds | memory of HotSync | loads |", "|---|--:|--:|---|"]
    for row in measured:
        loads = ((key.removeprefix(_LOAD).strip(), value) for key, value in row.steps.items() if key.startswith(_LOAD))
        steps = ", ".join(f"{name} {value:.1f} s" for name, value in loads)
        lines.append(f"| {row.what} | {row.seconds:.1f} | {row.memory / 1e6:.0f} MB | {steps} |")
    ratio = seconds["promotion, loaded on the day"] / seconds["promotion, loaded beforehand"]
    lines.append(f"| loaded on the day / loaded beforehand | **{ratio:.1f}** | | |")
    ratio = seconds["promotion, loaded on the day"] / seconds["promotion, both streamed"]
    lines.append(f"| loaded on the day / streamed | **{ratio:.1f}** | | |")
    gigabytes = {name: f"{size / 1e9:.1f} GB" for name, size in sizes.items()}
    said = f"Data of both servers {gigabytes['data']}, spool {gigabytes['spool']}, beside it {gigabytes['collecting']}."
    return "\n".join([*lines, "", said, "", *render_steps([row for row in measured if row.steps]), ""])


def render_steps(promotions: list[Row]) -> list[str]:
    """Return the table of the seconds that each step took; what took less than a tenth everywhere is one row."""
    keys = list(dict.fromkeys(key for row in promotions for key in row.steps))
    long = [key for key in keys if max(row.steps.get(key, 0) for row in promotions) >= _SHORT_SECONDS]
    lines = ["| step | " + " | ".join(row.what for row in promotions) + " |", "|---" + "|--:" * len(promotions) + "|"]
    for key in long:
        lines.append(f"| {key} | " + " | ".join(f"{row.steps.get(key, 0):.1f} s" for row in promotions) + " |")
    rest = [sum(value for key, value in row.steps.items() if key not in long) for row in promotions]
    lines.append(f"| {len(keys) - len(long)} other steps | " + " | ".join(f"{value:.1f} s" for value in rest) + " |")
    around = [row.seconds - sum(row.steps.values()) for row in promotions]
    lines.append("| before, between and after the steps | " + " | ".join(f"{value:.1f} s" for value in around) + " |")
    return lines


def main() -> int:
    """Measure, print the table, write figures where they are wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=5120, help="size of each engine's database")
    parser.add_argument("--out", type=Path, help="write promotion.json and promotion.md there")
    options = parser.parse_args()
    lab = Lab.up(name=f"bench-{os.getpid()}", gigabytes=max(16, 16 * options.megabytes // 1024))
    try:
        measured, sizes = compare(lab, options.megabytes)
    except (BenchError, LabError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    title = f"A database of {options.megabytes / 1024:.1f} GB in each engine, {os.cpu_count()} cores"
    text = f"{title}\n\n{render(measured, sizes)}"
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        figures = {"title": title, "sizes": sizes, "rows": [asdict(row) for row in measured]}
        (options.out / "promotion.json").write_text(json.dumps(figures, indent=1) + "\n")
        (options.out / "promotion.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
