"""HotSync: warm standby of a whole Linux server."""

__version__ = "3.0.0"
