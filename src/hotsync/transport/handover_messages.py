"""The messages of a switchover, which a SLAVE begins: it calls its MASTER."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hotsync.transport.message import Message
from hotsync.transport.values import Number, Words

_LONGEST = 10_000_000.0
Seconds = Annotated[float, Field(ge=0, le=_LONGEST, allow_inf_nan=False)]

StageWord = Literal[
    "none", "asked", "preparing", "stopping", "syncing", "ready", "leaving", "left", "held", "gone", "given_up"
]  # fmt: skip


class AskHandOver(Message):
    """A SLAVE asks its MASTER to hand over (`begin`), how far that is (`look`), or takes it back (`cancel`).

    After its claim it asks once more, with the claimed epoch: the answer says whether the MASTER stood still from the
    last run to this moment. After any other claim it asks (`look`) until the MASTER has let go.
    """

    type: Literal["ask_hand_over"] = "ask_hand_over"
    wish: Literal["begin", "look", "cancel"]


class HandOverState(Message):
    """How far the MASTER is. `leaving` and `left`: it stood still when it heard of that claim; `held` and `gone`: it
    had served until then. With `left` and `gone` its addresses are given up. `ready` tells what may be claimed and how
    many seconds that is waited for; `sentence`: why it was given up; `lacking`: why, as of its last run, it could not
    become the SLAVE afterwards.

    The seconds are how long production stands still, and what stopping it and the last run took.
    """

    type: Literal["hand_over_state"] = "hand_over_state"
    stage: StageWord
    generation: Number = 0
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    seconds_left: Seconds = 0.0
    still_seconds: Seconds = 0.0
    stopping_seconds: Seconds = 0.0
    sending_seconds: Seconds = 0.0
    sentence: Words = ""
    lacking: Words = ""
