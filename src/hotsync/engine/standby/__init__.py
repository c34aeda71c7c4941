"""Databases that are ready before the worst day: loaded beforehand, or following change by change."""
