"""Progress of long work: a live line on a terminal, a plain line a phase elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import click

from hotsync.cli.render import age, size
from hotsync.transport.rsync import TransferProgress


class Progress:
    """Shows phases and, while content travels, files, bytes, rate and time left, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._phase = ""
        self._last = 0.0

    def __call__(self, phase: str, transfer: TransferProgress | None = None) -> None:
        """Show where the work is; that nobody can see it is no reason to stop working."""
        if not self._quiet:
            with suppress(OSError):
                self._show(phase, transfer)

    def _show(self, phase: str, transfer: TransferProgress | None) -> None:
        if phase != self._phase:
            self._phase = phase
            self._clear()
            click.echo(f"{phase} ...", err=True)
        if transfer is not None and self._live and time.monotonic() - self._last > 0.1:
            self._last = time.monotonic()
            left = "" if transfer.seconds_left is None else f", {age(transfer.seconds_left)} left"
            rate = f"{size(transfer.bytes_per_second)}/s"
            line = f"  {transfer.files} files, {size(transfer.bytes)} of {size(transfer.total_bytes)}, {rate}{left}"
            sys.stderr.write("\r\x1b[K" + line)
            sys.stderr.flush()

    def note(self, text: str) -> None:
        """Show how far a phase is, where somebody looks on."""
        if self._live and time.monotonic() - self._last > 0.1:
            self._last = time.monotonic()
            with suppress(OSError):
                sys.stderr.write(f"\r\x1b[K  {text}")
                sys.stderr.flush()

    def done(self) -> None:
        """Leave the terminal clean."""
        with suppress(OSError):
            self._clear()

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
