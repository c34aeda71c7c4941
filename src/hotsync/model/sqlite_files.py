"""The parts of a SQLite file."""

from __future__ import annotations

SIDES = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a file: parts of it while it is in use, worth nothing, or harmful, without it. It is read
with whatever file lies there: one of another file's damages that."""
