"""A promotion backwards."""
