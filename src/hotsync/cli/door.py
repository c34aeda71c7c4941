"""The door of every command: bad input and failures become one sentence, one hint and their exit code."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from hotsync.cli.render import say_error
from hotsync.errors import Bug, ExitCode, HotSyncError, NotRoot, RunEnded, SystemFault, UsageError
from hotsync.model.readable import readable

_log = logging.getLogger("hotsync.door")


def _enter(
    run: Callable[..., object], args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]
) -> NoReturn:
    words = list(sys.argv[1:] if args is None else args)
    as_json = "--json" in words
    outlive_readers()
    try:
        result = run(args=words, prog_name=prog_name, standalone_mode=False, **extra)
        if sys.stdout:  # there is none where it was closed
            sys.stdout.flush()
        code = int(result) if isinstance(result, int) else int(ExitCode.DONE)
    except HotSyncError as error:
        shown = NotRoot(reason=error.sentence) if lacks_root(error) else error
        show_error(shown, as_json)
        code = int(shown.exit_code)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        if as_json:
            show_error(UsageError(reason=error.format_message()), as_json)
        else:
            error.show()
        code = int(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        if as_json:
            show_error(RunEnded(), as_json)
        else:
            click.echo("Interrupted.", err=True)
        code = int(ExitCode.INTERRUPTED)
    except Exception as error:
        code = _unforeseen(error, as_json)
    sys.exit(code)


def _unforeseen(error: Exception, as_json: bool) -> int:
    """Show what no room gave a name; return the exit code."""
    if lacks_root(error):
        named: HotSyncError = NotRoot(reason=str(error))
    elif isinstance(error, OSError):
        _log.error("the operating system refused something", exc_info=error)
        named = SystemFault(reason=str(error))
    else:
        _log.error("a bug in HotSync", exc_info=error)
        named = Bug(reason=f"{type(error).__name__}: {readable(str(error))}")
    show_error(named, as_json)
    return int(named.exit_code)


def lacks_root(error: BaseException | None) -> bool:
    """Return whether an error comes from who runs the command: not root, and something of root's was refused."""
    if os.geteuid() == 0:
        return False
    while error is not None:
        if isinstance(error, PermissionError | sqlite3.OperationalError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Pipe(io.FileIO):
    """Our own output: once nobody reads it any more, it goes nowhere, and the command goes on to its end."""

    ended = False

    def write(self, data: Any, /) -> int:
        try:
            if not self.ended:
                return super().write(data) or 0
        except OSError as error:
            self.ended = True
            if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: the terminal is gone
                raise  # a full disk is told, once
        return memoryview(data).nbytes


def outlive_readers() -> None:
    """Make stdout and stderr of this process such that nobody who stops reading them can stop the command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper) or stream is not getattr(sys, f"__{name}__"):
            continue  # closed, or a test's
        stream.flush()
        pipe = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
        lasting = io.TextIOWrapper(
            pipe, encoding=stream.encoding, errors=stream.errors, line_buffering=stream.line_buffering
        )
        setattr(sys, name, lasting)


def show_error(error: HotSyncError, as_json: bool) -> None:
    """Print an error as a person reads it, or as the one JSON document of this call."""
    if as_json:
        click.echo(json.dumps({"error": error.to_json()}))
        return
    say_error(error.sentence, error.hint)


class _Guarded(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for; a line that breaks meanwhile is no reader who has seen enough, as click takes it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise SystemFault(reason=str(error)) from error


class GuardedCommand(_Guarded):
    """A command behind the door."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command; leave with the exit code of commands.md."""
        if extra.get("standalone_mode") is False:
            return super().main(args, prog_name, *rest, **extra)
        extra.pop("standalone_mode", None)
        return _enter(super().main, args, prog_name, extra)


class GuardedGroup(_Guarded, click.Group):
    """A command with sub-commands behind the door."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command; leave with the exit code of commands.md."""
        if extra.get("standalone_mode") is False:
            return super().main(args, prog_name, *rest, **extra)
        extra.pop("standalone_mode", None)
        return _enter(super().main, args, prog_name, extra)
