"""Sound copies of files that must not be copied live: SQLite and TDB."""
