"""Marks in SQL: few rows, written through the store's one writer, read whole."""

from collections.abc import Sequence
from typing import Any

from ..marks import Mark
from ..pending import Pending
from .database import Database
from .writer import Writer

KEEP = """INSERT OR REPLACE INTO mark(id, caller, at, ok, kind, scale, raw, models, others)
  VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"""
ALL = "SELECT id, caller, at, ok, kind, scale, raw, models, others FROM mark ORDER BY at"


class SqliteMarks:
    """`Marks` over the user's file. Model names hold no blanks, so blanks separate them."""

    def __init__(self, writer: Writer, reader: Database) -> None:
        self._writer = writer
        self._reader = reader

    def keep(self, mark: Mark) -> Pending[None]:
        """With the next commit."""
        row = mark.id, mark.caller, mark.at, mark.right, mark.kind, mark.table, mark.raw
        return self._writer.submit(lambda db: _run(db, (*row, " ".join(mark.models), " ".join(mark.others))))

    async def all(self) -> Sequence[Mark]:
        """As committed."""
        rows = self._reader.execute(ALL).fetchall()
        return [_mark(row) for row in rows]

    async def asker(self, id: str) -> str | None:  # noqa: A002
        """The caller of the receipt."""
        row = self._reader.execute("SELECT caller FROM receipt WHERE id = ?", (id,)).fetchone()
        return str(row[0]) if row else None


def _run(db: Database, row: tuple[str | float | bool | None, ...]) -> None:
    db.execute(KEEP, row)


def _mark(row: tuple[Any, ...]) -> Mark:
    id, caller, at, ok, kind, table, raw, models, others = row  # noqa: A001 - the column's name
    return Mark(id, caller, at, bool(ok), kind, table, raw, tuple(models.split()), tuple(others.split()))
