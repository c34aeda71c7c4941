"""The network as neutral values."""
