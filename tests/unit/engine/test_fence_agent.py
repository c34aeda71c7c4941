"""What a MASTER must have said, and done, before its own HotSync counts as its fence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hotsync.engine.fence.agent import LEAVES_SECONDS, WRITES_SECONDS, watch_it_leave
from hotsync.errors import NotHeld, PeerUnreachable
from hotsync.model.handover import Stage
from hotsync.transport.handover_messages import HandOverState
from tests.fakes.clock import TickingClock

GONE = PeerUnreachable(address="192.0.2.10", port=273, reason="nobody is there")
Answer = Stage | PeerUnreachable


class Script:
    """A MASTER that answers one after the other, and with the last one from then on."""

    address = "192.0.2.10"

    def __init__(self, *answers: Answer) -> None:
        self._answers: Sequence[Answer] = answers
        self.asked = 0

    def ask(self, wish: str, epoch: int) -> HandOverState:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, PeerUnreachable):
            raise answer
        return HandOverState(epoch=epoch, stage=answer.value)


def test_a_master_counts_as_fenced_when_it_has_given_up_its_addresses() -> None:
    line = Script(Stage.HELD, Stage.HELD, Stage.GONE)
    said = watch_it_leave(line, TickingClock(), 4)
    assert said == "it heard of epoch 4 at 192.0.2.10, holds itself and has given up its addresses"
    assert line.asked == 3


def test_one_that_had_handed_over_and_is_forced_counts_as_well() -> None:
    assert "given up its addresses" in watch_it_leave(Script(Stage.LEAVING, Stage.LEFT), TickingClock(), 4)


def test_one_that_wrote_it_down_and_is_not_seen_any_more_counts_and_what_is_not_known_is_not_said() -> None:
    said = watch_it_leave(Script(Stage.HELD, GONE), TickingClock(), 4)
    assert said == "it heard of epoch 4 at 192.0.2.10, holds itself and answers nowhere since"


def test_a_line_that_breaks_while_addresses_go_is_made_anew() -> None:
    assert "has given up" in watch_it_leave(Script(Stage.HELD, GONE, GONE, Stage.GONE), TickingClock(), 4)


@pytest.mark.parametrize("after", [(), (GONE,)])
def test_one_that_hears_but_does_not_write_it_down_is_not_counted_and_not_waited_for_long(
    after: tuple[PeerUnreachable, ...],
) -> None:
    """A MASTER whose disk was full answered, and so the fence by IPMI was never used."""
    clock = TickingClock()
    before = clock.monotonic()
    with pytest.raises(NotHeld, match=r"epoch 4 at 192\.0\.2\.10, but it has not written down that it holds itself"):
        watch_it_leave(Script(Stage.NONE, *after), clock, 4)
    assert clock.monotonic() - before < WRITES_SECONDS + 5


def test_one_that_writes_it_down_at_the_second_question_counts() -> None:
    assert "has given up" in watch_it_leave(Script(Stage.NONE, Stage.HELD, Stage.GONE), TickingClock(), 4)


def test_one_that_writes_it_down_and_keeps_its_addresses_is_not_counted() -> None:
    clock = TickingClock()
    before = clock.monotonic()
    with pytest.raises(NotHeld, match="it still has its addresses after"):
        watch_it_leave(Script(Stage.HELD), clock, 4)
    assert clock.monotonic() - before >= LEAVES_SECONDS


def test_one_that_does_not_hear_costs_no_second_question() -> None:
    line = Script(GONE)
    with pytest.raises(PeerUnreachable):
        watch_it_leave(line, TickingClock(), 4)
    assert line.asked == 1
