"""What ssh says of a look at another server, as it says it."""

from __future__ import annotations

from hotsync.backends.ssh import _failed, _is_forced

LET_IN = """\
OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.16 11 Feb 2025
Authenticated to 127.0.0.1 ([127.0.0.1]:2299) using "publickey".
debug1: client_input_global_request: rtype hostkeys-00@openssh.com want_reply 0
debug1: Remote: /root/.ssh/authorized_keys:1: key options: agent-forwarding {}port-forwarding pty user-rc
"""


def test_a_key_with_a_command_of_its_own_is_seen() -> None:
    assert _is_forced(LET_IN.format("command "))
    assert not _is_forced(LET_IN.format(""))
    assert not _is_forced("debug1: Sending command: x\n")


def test_the_reason_is_told_without_the_chatter() -> None:
    told = "debug1: Connecting\nroot@192.0.2.10: Permission denied (publickey).\ndebug1: bye\n"
    error = _failed(["ssh", "-v", "-N", "--", "old-master"], "exit 255", told)
    assert error.sentence == "ssh failed (exit 255): root@192.0.2.10: Permission denied (publickey)."
    assert "ssh -N -- old-master" in error.hint
    assert "it said nothing" in _failed(["ssh"], "exit 255", "debug1: x\n").sentence
