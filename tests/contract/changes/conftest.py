from __future__ import annotations

from tests.unit.changes.conftest import server

__all__ = ["server"]
