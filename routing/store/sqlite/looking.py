"""Long looks into the file: on a connection of their own in a worker thread, one at a time, so they delay nobody's call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from .connection import connect
from .database import Value


class Looking:
    """Reads committed rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one = CapacityLimiter(1)

    async def rows(self, query: str, *values: Value) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return await run_sync(self._read, query, values, limiter=self._one)

    def _read(self, query: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        db = connect(self._path, read_only=True)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()
