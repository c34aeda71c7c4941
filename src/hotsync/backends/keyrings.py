"""What keys a keyring holds, for a person to compare."""

from __future__ import annotations

import tempfile

from hotsync.errors import CommandFailed
from hotsync.system import command


def parse_keys(text: str) -> list[str]:
    """Given `gpg --with-colons --show-keys`, return "FINGERPRINT owner" of each key."""
    keys: list[str] = []
    fingerprint, is_key = "", False
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] == "pub":
            is_key, fingerprint = True, ""
        elif fields[0] == "sub":
            is_key = False
        elif fields[0] == "fpr" and is_key and not fingerprint:
            fingerprint = fields[9]
            keys.append(fingerprint)
        elif fields[0] == "uid" and keys and keys[-1] == fingerprint:
            owner = "".join(sign for sign in fields[9] if sign.isprintable())
            keys[-1] = f"{fingerprint} {owner}"
    return keys


def read_keys(content: bytes) -> list[str]:
    """Given a keyring's content, return its keys in a person's words; none where there is no gpg to read them."""
    with tempfile.TemporaryDirectory() as home:
        argv = ["gpg", "--homedir", home, "--no-options", "--batch", "--no-tty", "--with-colons", "--show-keys"]
        try:
            return parse_keys(command.run(argv, input=content, timeout=30).text)
        except CommandFailed:
            return []
