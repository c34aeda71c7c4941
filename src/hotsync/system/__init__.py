"""The edge of the machine: programs, files, locks, clock, paths. Nothing here knows what HotSync is for."""
