"""Forgetting beside running calls, a piece at a time: others' writes come between two."""

from .archive import forget_where, held
from .database import Database
from .writer import Writer

NEWEST = "SELECT max(at) FROM receipt"
LAST = "SELECT max(at) FROM (SELECT at FROM receipt WHERE at < ? ORDER BY at LIMIT ?)"
YOUNG_S = 600.0  # an answer that reached nobody is fetched within ten minutes (contract §3)


class SqliteRetention:
    """`Retention` over the user's file; what counts is the file, the ledger included."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def thin(self, limit: int, before: float, most: int) -> int:
        """About `most` of the oldest, in one transaction."""
        return await self._writer.submit(lambda db: _thin(db, limit, before, most)).wait()


def _thin(db: Database, limit: int, before: float, most: int) -> int:
    newest = db.execute(NEWEST).get if held(db) > limit else None
    bound = before if newest is None else max(before, newest - YOUNG_S)
    last = db.execute(LAST, (bound, most)).get
    return 0 if last is None else forget_where(db, "at <= ?", last)
