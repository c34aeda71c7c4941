"""The door of every command: bad input and failures become one sentence, one hint and their exit code."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from hotsync.errors import ExitCode, HotSyncError
from hotsync.model.readable import readable

_log = logging.getLogger("hotsync.door")


def _enter(
    run: Callable[..., object], args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]
) -> NoReturn:
    words = list(sys.argv[1:] if args is None else args)
    as_json = "--json" in words
    try:
        result = run(args=words, prog_name=prog_name, standalone_mode=False, **extra)
        code = int(result) if isinstance(result, int) else int(ExitCode.DONE)
    except HotSyncError as error:
        show_error(error, as_json)
        code = int(error.exit_code)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        error.show()
        code = int(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        code = int(ExitCode.DONE)  # whoever read our output has seen enough
        sys.stderr.close()
    except Exception as error:
        _log.exception("a bug in HotSync")
        click.echo(f"A bug in HotSync: {type(error).__name__}: {error}", err=True)
        click.echo("Please report it with the lines that `journalctl -t hotsync` shows.", err=True)
        code = int(ExitCode.BUG)
    sys.exit(code)


def show_error(error: HotSyncError, as_json: bool) -> None:
    """Print an error as a person reads it, or as the one JSON document of this call."""
    if as_json:
        click.echo(json.dumps({"error": error.to_json()}))
        return
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {readable(error.sentence)}", err=True)
    click.echo(f"{click.style('Hint:', bold=True)} {readable(error.hint)}", err=True)


class GuardedCommand(click.Command):
    """A command behind the door."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command; leave with the exit code of commands.md."""
        if extra.get("standalone_mode") is False:
            return super().main(args, prog_name, *rest, **extra)
        extra.pop("standalone_mode", None)
        return _enter(super().main, args, prog_name, extra)


class GuardedGroup(click.Group):
    """A command with sub-commands behind the door."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command; leave with the exit code of commands.md."""
        if extra.get("standalone_mode") is False:
            return super().main(args, prog_name, *rest, **extra)
        extra.pop("standalone_mode", None)
        return _enter(super().main, args, prog_name, extra)
