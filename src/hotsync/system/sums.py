"""The sum of a file's content: SHA-256, read in big blocks."""

from __future__ import annotations

import hashlib
import os

_BLOCK = 1024 * 1024


def sum_of_file(descriptor: int) -> bytes:
    """Given an open file, return the SHA-256 of its content and close it; raise OSError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        while block := os.read(descriptor, _BLOCK):
            digest.update(block)
    finally:
        os.close(descriptor)
    return digest.digest()
