"""The rehearsal of a promotion in a sandbox."""
