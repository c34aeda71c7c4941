"""Redis: found, saved, loaded."""
