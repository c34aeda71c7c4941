"""Applications that Debian packages, each tried on two booted hosts: set up, asked, synced, promoted, asked again.

One file in `data` says of one application what is installed, how it gets data, what a client asks, and which answer is
right. `round` does the rest; the test of the applications and `script/applications` are two ways to call it.
"""
