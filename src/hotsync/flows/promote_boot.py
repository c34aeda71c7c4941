"""What is said, and made up for, when a host boots in the middle of a promotion."""

from __future__ import annotations

import logging

from hotsync.engine.roles import settle_role
from hotsync.flows.promote import unfinished_sentence
from hotsync.flows.promote_notice import announce
from hotsync.flows.promote_unit import UNIT
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.promote")


def at_boot(paths: Paths) -> None:
    """Tell console and log of an unfinished promotion; what follows from a role that has changed is made true first.

    It goes on by itself only where the settings say so (ResumeAtBoot).
    """
    settle_role(paths)
    sentence = unfinished_sentence(paths)
    announce(paths, sentence)
    if not sentence:
        return
    _log.warning("%s", sentence)
    settings, _ = read_settings(paths)
    if settings.resume_at_boot:
        command.run(["systemctl", "start", "--no-block", UNIT])
