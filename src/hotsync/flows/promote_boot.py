"""What is said, and made up for, when a host boots in the middle of a promotion."""

from __future__ import annotations

import logging

from hotsync.engine.network import coming_back as network_return
from hotsync.engine.promotion.roles import announce_at_boot, settle_role
from hotsync.flows.claim_guard import guard_claim
from hotsync.flows.promote import unfinished_sentence
from hotsync.flows.promote_notice import announce, interrupted, tell_by_mail
from hotsync.flows.promote_unit import UNIT
from hotsync.flows.undo_boot import hold_undo
from hotsync.state.promotion import unfinished_promotion
from hotsync.state.settings import read_settings
from hotsync.state.store import load_role
from hotsync.state.undo import is_undoing
from hotsync.system import command
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

MAIL_UNIT = "hotsync-unfinished-mail.service"

_log = logging.getLogger("hotsync.promote")


def mail_unfinished(paths: Paths, clock: Clock) -> bool:
    """Tell by mail what the boot told the console; nothing if it has been finished meanwhile.

    Return False if the mail should be tried again.
    """
    sentence = unfinished_sentence(paths)
    return not sentence or tell_by_mail(paths, clock, interrupted(sentence, undoes=is_undoing(paths)))


def at_boot(paths: Paths) -> None:
    """Tell console and log of an unfinished promotion; what follows from a role that has changed is made true first.

    It goes on by itself only where the settings say so (ResumeAtBoot), and where the MASTER of a switchover has not
    confirmed yet: then nobody may serve, and nothing has moved. Where none is unfinished, no boot asks again.
    In the middle of an undo nothing of production starts, and none of its addresses is taken; in the middle of a
    promotion none that somebody else has, and then it waits for a person.
    """
    sentence = unfinished_sentence(paths)
    if not sentence:
        announce(paths, "")
        announce_at_boot(paths, False)
        return
    free = True
    if not is_undoing(paths):
        network_return.at_boot(paths)
        free = guard_claim(paths, SystemClock())
        sentence = unfinished_sentence(paths)
    hold_undo(paths, SystemClock())
    settle_role(paths)
    announce(paths, sentence)
    _log.warning("%s", sentence)
    command.run(["systemctl", "start", "--no-block", MAIL_UNIT], ok=range(256))  # tries until it is taken
    settings, _ = read_settings(paths)
    if free and (settings.resume_at_boot or _awaits_confirmation(paths)):
        command.run(["systemctl", "start", "--no-block", UNIT])


def _awaits_confirmation(paths: Paths) -> bool:
    promotion = unfinished_promotion(paths, load_role(paths))
    return promotion is not None and promotion.awaits_confirmation and not is_undoing(paths)
