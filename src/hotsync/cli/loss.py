"""How the loss statement looks: in one sentence, as a list of paths, and to programs."""

from __future__ import annotations

from typing import Any

import click

from hotsync.cli.render import local, size, utc
from hotsync.model.loss import MOST_PATHS, Fate, LossStatement, Lost
from hotsync.model.losses import Losses
from hotsync.model.readable import readable

_FIRST = 20
_MORE = "hotsync status --loss while this is a SLAVE"
_WORDS = {
    Fate.NEW: "new",
    Fate.CHANGED: "changed",
    Fate.DELETED: "deleted",
    Fate.PERHAPS: "perhaps",
}


def loss_sentence(loss: LossStatement, ahead: float) -> str:
    """Given a statement and by how much the MASTER's clock is ahead of ours, return in words what would be lost."""
    return f"{_counted(loss, ahead)}; nothing is known after {local(loss.known_until - ahead)}"


def _counted(loss: LossStatement, ahead: float) -> str:
    counts = [
        f"{_many(loss.files, 'file')} ({size(loss.bytes)}{_mails(loss)})" if loss.files else "",
        f"{_many(loss.deleted, 'deletion')}" if loss.deleted else "",
        f"times or rights of {_many(loss.folders, 'folder')}" if loss.folders else "",
        f"perhaps {loss.perhaps} more" if loss.perhaps and loss.count > loss.perhaps else "",
        f"perhaps {_many(loss.perhaps, 'file')}" if loss.perhaps and loss.count == loss.perhaps else "",
    ]
    said = ", ".join(count for count in counts if count)
    if not said:
        return "no change is known"
    newest = f"; the newest change is of {local(loss.newest - ahead)}" if loss.newest else ""
    return f"{said}{newest}"


def _many(count: int, word: str) -> str:
    return f"1 {word}" if count == 1 else f"{count} {word}s"


def _mails(loss: LossStatement) -> str:
    return f", {_many(loss.mails, 'mail')}" if loss.mails else ""


def show_loss(loss: LossStatement, ahead: float, *, past: bool) -> None:
    """Print what a promotion loses, or lost, with the first of the paths."""
    word = "Lost" if past else "Lost if it is promoted now"
    click.echo(f"{word}: {loss_sentence(loss, ahead)}.")
    show_paths(loss, _FIRST, margin="  ")


def show_losses(losses: Losses, *, past: bool) -> None:
    """Print what a promotion loses, or lost; of an older generation first what is undone by it."""
    back, ahead = losses.back, losses.ahead
    if back is None or back.wanted == back.newest:
        show_loss(losses.told, ahead, past=past)
        return
    word = "Lost" if past else "Lost if it is promoted now"
    click.echo(f"{word}: all that was done on the MASTER after {local(back.moment - ahead)}. What is known of it:")
    counted = _counted(losses.undone, ahead) if losses.undone is not None else "not known any more"
    click.echo(f"- up to generation {back.newest}, of {local(back.collected_at - ahead)}: {counted}.")
    if losses.undone is not None:
        show_paths(losses.undone, _FIRST, margin="  ", more=f"hotsync diff {back.wanted} {back.newest}")
    click.echo(f"- after generation {back.newest}: {loss_sentence(losses.told, ahead)}.")
    show_paths(losses.told, _FIRST, margin="  ")


def show_paths(loss: LossStatement, most: int = MOST_PATHS, margin: str = "", more: str = _MORE) -> None:
    """Print the paths of a statement, one a line: what would become of each, its size, and where it is; `more` says
    what shows the others."""
    for lost in loss.paths[:most]:
        click.echo(
            margin + f"{_WORDS[lost.fate]:<8} {size(lost.bytes) if _has_size(lost) else '-':>11}  {_shown(lost)}"
        )
    unnamed = max(0, len(loss.paths) - most)
    if unnamed:
        click.echo(f"{margin}and {unnamed + loss.beyond} more: with --json, or by {more}")
    elif loss.beyond:
        click.echo(f"{margin}and {loss.beyond} more, which are only counted")


def _has_size(lost: Lost) -> bool:
    return not lost.folder and lost.fate is not Fate.DELETED


def _shown(lost: Lost) -> str:
    return readable(f"/{lost.path}{'/' if lost.folder else ''}")


def loss_document(loss: LossStatement | None, ahead: float) -> dict[str, Any] | None:
    """Return a statement as JSON documents have it, with its moments by our clock."""
    if loss is None:
        return None
    return {
        "generation": loss.generation,
        "known_until": utc(loss.known_until - ahead),
        "files": loss.files,
        "bytes": loss.bytes,
        "mails": loss.mails,
        "folders": loss.folders,
        "deleted": loss.deleted,
        "perhaps": loss.perhaps,
        "newest": utc(loss.newest - ahead) if loss.newest else None,
        "databases": [
            {"name": each.name, "taken_at": utc(each.taken_at - ahead), "streamed": each.streamed}
            for each in loss.databases
        ],
        "paths": [
            {"path": lost.path, "fate": lost.fate.value, "bytes": lost.bytes, "folder": lost.folder}
            for lost in loss.paths
        ],
        "beyond": loss.beyond,
    }


def losses_document(losses: Losses) -> dict[str, Any]:
    """Return what a promotion loses as JSON documents have it; its databases have a key of their own beside it.

    Where an older generation is promoted nothing is known after that one was collected, but what `back` tells.
    """
    back, ahead = losses.back, losses.ahead
    told = _without_databases(losses.told, ahead)
    if back is None or back.wanted == back.newest:
        return told
    statement = LossStatement(back.wanted, "", back.moment)
    undone = None if losses.undone is None else _without_databases(losses.undone, ahead)
    return _without_databases(statement, ahead) | {"back": {"newest": back.newest, "undone": undone, "after": told}}


def _without_databases(loss: LossStatement, ahead: float) -> dict[str, Any]:
    document = loss_document(loss, ahead) or {}
    document.pop("databases", None)
    return document
