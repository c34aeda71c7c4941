"""What all messages have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from hotsync.transport.values import Number

PROTOCOL = 1


class Message(BaseModel):
    """What all messages carry. `epoch` is the highest that the sender knows of (a claim counts)."""

    # built when the first of its kind comes or goes: a run needs five of them
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    protocol: int = PROTOCOL
    epoch: Number

    def render(self) -> bytes:
        """Return the body of its frame."""
        return self.model_dump_json().encode("utf-8")
