"""docs/bench.md: what is measured and how, with the tables of the last whole runs as they lie in docs/bench/."""

from __future__ import annotations

from pathlib import Path

PATH = "docs/bench.md"
FOLDER = Path(__file__).resolve().parents[1] / "bench"

TEXT = """# Benchmarks

Figures of one machine mean little; ratios in one run on one machine mean something. So every benchmark here runs
HotSync beside another way, in the same run, and can be repeated with one command.

## A whole run beside the original's way

    .venv/bin/python -m bench.sync --out docs/bench        # 300,000 files; 12 GB of disk; see below how long it takes
    .venv/bin/python -m bench.sync --files 5000            # a look
    .venv/bin/python -m bench.sync --cases 3               # first copy, nothing changed, 1,000 files changed

It needs root, and Debian's `rsync`, `stunnel4`, `openssl` and `systemd` (for `systemd-socket-activate`). The first
command writes `sync.json`, `sync.md` and `sync.svg` and takes away what it made; `script/docs` puts the table into
this page. A whole run takes ten to fifteen minutes on an idle machine with a quick disk, and more on a busy one. At
full size it ends with 3 if a promise for the case in which nothing changed is missed, and names it; it ends with 1 if
it could not measure.

**What is compared.** One tree of small files on the MASTER, mail-like: a hundred to a folder, sizes around an average
of 8 KB, two thirds of each compress like text and one third not at all; a third of all files lie below one folder.

* *HotSync* is the command `hotsync` as an administrator runs it, with both agents (`hotsyncd` at both ends, the
  receiver started by its socket). A run is the whole run: it collects the packages, accounts, units and the
  configuration archive of this machine, makes a generation, and has it on the SLAVE's disk (`syncfs`) before it says
  so. Databases are left out, as the other way has none.
* *original* is what HotSync 2 did to bring files over: `rsync -z -r -a -H -A --delete --files-from=LIST` into an
  rsync daemon, through stunnel at both ends. Only that is measured: neither its configuration backup nor its scripts,
  and it does not wait for the SLAVE's disk.

Both ends are on this machine, each with a network namespace of its own and one virtual cable between the two, so that
the tunnel's and the daemon's local connections are not counted as wire.

| figure | is |
|---|---|
| wall | from the command's start to its end |
| CPU | of all that runs at that end (the control group's `cpu.stat`): command, children, agents, tunnel, daemon |
| wire | bytes on the cable, both ways, headers included |
| memory | resident memory of all at both ends, at the worst moment (of one every 20 ms); shared pages count for each |

"Nothing changed" and "files changed" are measured three times, the two ways taking turns at who is first, and the
fastest of each counts. After every case both copies are compared with the tree by `rsync -naiHA --delete`; a
difference ends the benchmark. kB, MB and GB are powers of 1000.

### The last whole run

{sync}
![wall time, CPU and bytes of both ways](bench/sync.svg)

### What the figures say

* **Nothing changed** is the case that counts four times an hour. The original reads both trees and tells the SLAVE of
  every file; HotSync walks one and says one sentence. What is left of its CPU is mostly the kernel's: one listing a
  folder and one stat a file (docs/decisions/0046). A `find` that prints what a stat tells costs about half of the
  whole run, so the ratio of CPU depends on the machine: the original's part is system calls and changes between four
  programs, whose cost differs more from machine to machine, and with the load, than that of one Python program.
* **Files changed:** the walk again, and the transfer of what changed.
* **First copy, `mv`, `chmod -R`:** HotSync needs more CPU than the original in all three. It carries more (extended
  attributes, nanoseconds, sparse files), looks at each path again after it was sent, checks each that arrived, hashes
  it for `hotsync verify`, and keeps history. At the MASTER about half of the CPU is rsync's, nearly all of it in the
  kernel: with `-AX` it asks for the attributes of every file.
* **A `chmod -R` or `chown -R` of many files takes several times as long as with the original**, which sends attributes
  alone. With HotSync they travel as content for now, as after a `mv` (there the original sends all anew, too): the
  changeset has words for both (*meta*, *moved*), the transfer has not. Nothing is wrong in the copy.
* **On the wire** HotSync sends more bytes between near hosts, because it does not compress there
  (docs/decisions/0043).
* **Memory.** To find that nothing changed takes the command the same memory for few files and for many: a test
  compares two trees, the second benchmark below two more. A run that sends very many files takes some more, and so
  does the SLAVE's agent while it commits them: the table of the programs tells.

## Finding that nothing changed

    .venv/bin/python -m bench.detect --out docs/bench

HotSync's walk and comparison alone, in a process of its own that loads nothing else, beside `find -printf` and
`rsync -an --delete` of two local trees. Best of three; the first run makes the manifest, the second seals the folders.

{detect}
## A promotion with large databases

    .venv/bin/python -m bench.promotion --out docs/bench      # 5 GB in each engine; 100 GB of disk, half an hour
    .venv/bin/python -m bench.promotion --megabytes 200       # a look

In the lab, on two real hosts: MariaDB and PostgreSQL on the MASTER get a database of that size each (text and two
indexes), and a small one beside it. After a first sync the state of both hosts is kept, and promoted three times,
from the power cut of the MASTER to the report: as if hotsync-slave had loaded nothing beforehand
(docs/decisions/0085); after it did, with a sync of some newer rows in the small databases between; and with both
streamed (docs/decisions/0086, 0087), with newer rows that no generation holds. All rows are counted after each; a
difference ends the benchmark. Memory is that of HotSync's own programs on both hosts at the worst moment (of one
every 50 ms), without the database servers and their tools. Seconds of a promotion hold those of the whole server:
addresses, files, services, checks; the second table shows those of each step. A sync right after so much was loaded
is no sync of nothing new: the servers still work on it, and are dumped once more. In the last run tests of idle
priority ran beside the first two rows.

**What the figures say.** What a promotion takes on the day does not depend on the size of the databases, once they
are loaded beforehand or streamed: it is the addresses, the start of the servers, and what is looked at before and
after. HotSync's own memory does not grow with the data: a first sync takes 243 MB with 5 GB in each engine, and took
246 MB with 0.5 GB on the same machine. While it makes followers it takes a hundred megabytes more. The spool holds
the dumps and nothing beside them.

{promotion}"""


def render() -> str:
    """Return the page."""
    return TEXT.format(
        sync=(FOLDER / "sync.md").read_text(),
        detect=(FOLDER / "detect.md").read_text(),
        promotion=(FOLDER / "promotion.md").read_text(),
    )
