"""A bank in a SQLite file under constant load: money only moves, so that every sound copy of it balances.

As a program of its own (`python -m tests.support.bank FILE SEED`) it moves money until it is ended.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ACCOUNTS = 3000
EACH = 1000


def open_bank(path: Path) -> sqlite3.Connection:
    # SQLite gives the lock to whoever asks at the right moment: one of two writers may have to ask for minutes
    return sqlite3.connect(path, timeout=600, isolation_level=None)


def make_bank(path: Path, journal: str) -> None:
    with closing(open_bank(path)) as db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.executescript("""
            CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL, note TEXT NOT NULL);
            CREATE INDEX by_money ON account (money, id);
            CREATE TABLE moved (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
        """)
        db.execute("BEGIN")
        db.executemany("INSERT INTO account VALUES (?, ?, ?)", ((n, EACH, "x" * 200) for n in range(ACCOUNTS)))
        db.execute("COMMIT")


def move(db: sqlite3.Connection, chance: random.Random) -> None:
    """Move money between some accounts in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    for _ in range(8):
        amount, (one, other) = chance.randrange(1, 50), chance.sample(range(ACCOUNTS), 2)
        db.execute("UPDATE account SET money = money - ?, note = ? WHERE id = ?", (amount, str(amount) * 100, one))
        db.execute("UPDATE account SET money = money + ? WHERE id = ?", (amount, other))
        db.execute("INSERT INTO moved (amount) VALUES (?)", (amount,))
    db.execute("DELETE FROM moved WHERE id < (SELECT max(id) FROM moved) - 500")
    db.execute("COMMIT")


def fault_of(path: Path) -> str:
    """Return what is wrong with a bank, "" if all is well."""
    try:
        with closing(open_bank(path)) as db:
            found = db.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                return str(found)
            money, count = db.execute("SELECT sum(money), count(*) FROM account").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if (money, count) == (ACCOUNTS * EACH, ACCOUNTS) else f"{count} accounts hold {money}"


def moved(path: Path) -> int:
    """Return the number of the last transfer."""
    with closing(open_bank(path)) as db:
        return int(db.execute("SELECT max(id) FROM moved").fetchone()[0] or 0)


@contextmanager
def busy(path: Path, workers: int = 2, uid: int = 0) -> Iterator[None]:
    """Have money moved all the time while the block lasts."""
    running = [
        subprocess.Popen(
            [sys.executable, "-S", __file__, str(path), str(seed), str(uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for seed in range(workers)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == b"moving\n"
        yield
        assert [one.poll() for one in running] == [None] * workers
    finally:
        for one in running:
            one.kill()
            one.wait()
            for pipe in (one.stdin, one.stdout):
                assert pipe is not None
                pipe.close()


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Have another process execute statements, and keep its connection open while the block lasts.

    Another one, since SQLite's locks are the process's: whoever closes the file in the same process drops them.
    """
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for one in sys.argv[2:]: db.execute(one).fetchall()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(path), *statements], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
    finally:
        process.communicate()


def main() -> None:
    path, seed, uid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    chance = random.Random(seed)
    with closing(open_bank(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        move(db, chance)
        print("moving", flush=True)
        while True:
            move(db, chance)


if __name__ == "__main__":
    main()
