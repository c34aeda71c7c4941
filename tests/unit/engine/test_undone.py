"""What going back to an older generation undoes is what lies between the two."""

from __future__ import annotations

import random
from pathlib import Path

from hotsync.engine.promotion.undone import undone_by
from hotsync.model.loss import Fate
from tests.support.replica_world import World


def test_what_came_between_the_two_is_lost_and_what_went_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path, random.Random(1))
    world.write("srv/kept", "same")
    world.write("srv/gone", "was here")
    world.write("srv/text", "before")
    world.generation()
    world.clock.time += 600
    world.write("srv/text", "afterwards")
    world.write("var/mail/ada/new/1.M1", "a mail")
    world.write("var/lib/hotsync/spool/x", "a dump")
    (world.master / "srv/gone").unlink()
    world.generation()
    wanted, newest = world.replica().generations()
    found = undone_by(world.replica(), wanted, newest, ("var/mail",))
    told = {lost.path: lost.fate for lost in found.paths if not lost.folder}
    assert told == {"srv/gone": Fate.DELETED, "srv/text": Fate.CHANGED, "var/mail/ada/new/1.M1": Fate.NEW}
    assert (found.files, found.deleted, found.mails) == (2, 1, 1)
    assert (found.generation, found.digest, found.known_until) == (1, newest.digest, newest.collected_at)
