"""The one hook around everything that the replica writes: tests die in it, nothing else uses it."""

from __future__ import annotations

from types import TracebackType


class Effects:
    """Stands around each change of the disk: `with effects("rename"): os.rename(...)`."""

    def __call__(self, what: str) -> Effects:
        """Announce one change; use the answer as a context manager around it."""
        self.before(what)
        return self

    def before(self, what: str) -> None:
        """Called right before a change; a test may raise here."""

    def after(self) -> None:
        """Called right after a change; a test may raise here."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.after()
