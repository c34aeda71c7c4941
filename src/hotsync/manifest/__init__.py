"""The manifest: every protected path as of a generation, in one SQLite file, the same on both sides."""
