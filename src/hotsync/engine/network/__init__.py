"""This server's network while it changes: written anew, proven, put back."""
