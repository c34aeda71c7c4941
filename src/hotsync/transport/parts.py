"""What messages carry lists of: each item within its bounds, and as the model has it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from hotsync.model.generation import DatasetPoint
from hotsync.model.loss import MOST_PATHS, DatabaseMoment, Fate, LossStatement, Lost
from hotsync.transport.values import MOST, NO_CONTROLS, Digest, Moment, Number, moment, plain

_NAME = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_CONTROLS)]
_LONGEST_PATH = 4 * 4096
"""Characters: each byte of a path may have been escaped."""


class Dataset(BaseModel):
    """One dataset's consistency point within a generation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    name: _NAME
    taken_at: Moment
    stale_since: Moment = 0.0
    note: Annotated[str, Field(max_length=500, pattern=NO_CONTROLS)] = ""
    streamed: bool = False

    @classmethod
    def of(cls, point: DatasetPoint) -> Self:
        """Given a dataset point, return it as it travels (its note shortened and cleaned)."""
        return cls(
            name=plain(point.name, 255),
            taken_at=float(point.taken_at),
            stale_since=float(point.stale_since),
            note=plain(point.note, 500),
            streamed=point.streamed,
        )

    def point(self) -> DatasetPoint:
        """Return it as the model has it."""
        return DatasetPoint(self.name, self.taken_at, self.stale_since, self.note, self.streamed)


class LostPath(BaseModel):
    """One path that is newer on the MASTER: readable text, which nobody opens."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    path: Annotated[str, Field(max_length=_LONGEST_PATH, pattern=NO_CONTROLS)]
    fate: Literal["new", "changed", "deleted", "perhaps"]
    bytes: Number = 0
    folder: bool = False

    @classmethod
    def of(cls, lost: Lost) -> Self:
        """Given a path of a statement, return it as it travels."""
        return cls(
            path=plain(lost.path, _LONGEST_PATH), fate=lost.fate.value, bytes=min(lost.bytes, MOST), folder=lost.folder
        )

    def lost(self) -> Lost:
        """Return it as the model has it."""
        return Lost(self.path, Fate(self.fate), self.bytes, self.folder)


class ServerMoment(BaseModel):
    """One database server: of when its last dump is; `streamed`: what came after it is on the SLAVE, too."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    name: _NAME
    taken_at: Moment
    streamed: bool = False

    @classmethod
    def of(cls, server: DatabaseMoment) -> Self:
        """Given a server of a statement, return it as it travels."""
        return cls(name=plain(server.name, 255), taken_at=moment(server.taken_at), streamed=server.streamed)

    def moment(self) -> DatabaseMoment:
        """Return it as the model has it."""
        return DatabaseMoment(self.name, self.taken_at, self.streamed)


class Stated(BaseModel):
    """A loss statement."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    generation: Number
    digest: Digest
    known_until: Moment
    files: Number
    bytes: Number
    folders: Number
    deleted: Number
    perhaps: Number
    mails: Number
    newest: Moment
    paths: Annotated[tuple[LostPath, ...], Field(max_length=MOST_PATHS)] = ()
    databases: Annotated[tuple[ServerMoment, ...], Field(max_length=2000)] = ()

    @classmethod
    def of(cls, said: LossStatement) -> Self:
        """Given a statement, return it as it travels."""
        return cls(
            generation=said.generation,
            digest=said.digest,
            known_until=moment(said.known_until),
            files=said.files,
            bytes=min(said.bytes, MOST),
            folders=said.folders,
            deleted=said.deleted,
            perhaps=said.perhaps,
            mails=said.mails,
            newest=moment(said.newest),
            paths=tuple(LostPath.of(lost) for lost in said.paths),
            databases=tuple(ServerMoment.of(server) for server in said.databases),
        )

    def statement(self) -> LossStatement:
        """Return it as the model has it."""
        return LossStatement(
            self.generation, self.digest, self.known_until, self.files, self.bytes, self.folders, self.deleted,
            self.perhaps, self.mails, self.newest, tuple(path.lost() for path in self.paths),
            tuple(server.moment() for server in self.databases),
        )  # fmt: skip
