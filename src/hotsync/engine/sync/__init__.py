"""A run of the MASTER: collect, select, deliver."""
