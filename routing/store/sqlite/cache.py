"""Kept answers in SQL. Reads are points by primary key on the second connection; writes wait for company."""

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from ..cache import Bounds, Meaning, Row, packed_meaning, read_meaning
from .connection import translate
from .database import Database
from .together import Together
from .writer import Writer

KEEP = """INSERT INTO response(key, caller, receipt, at, used, body, seal) VALUES(?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT(key) DO UPDATE SET caller = excluded.caller, receipt = excluded.receipt, at = excluded.at,
  used = excluded.used, body = excluded.body, seal = excluded.seal WHERE excluded.at >= response.at"""
READ = "SELECT key, caller, receipt, at, body, seal FROM response WHERE key = ?"
STAMP = "SELECT at FROM response WHERE key = ?"
EXCESS = "SELECT entries - ?, bytes - ? FROM response_total"
MEANINGS = "SELECT key, words, vector FROM meaning WHERE scope = ? AND embedder = ? LIMIT ?"
PLACE = """INSERT OR REPLACE INTO meaning(key, scope, embedder, words, vector)
  SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM response WHERE key = ?1)"""
OLDEST = "SELECT id, length(body) FROM response ORDER BY used LIMIT ?"


class Keeping(NamedTuple):
    """An answer to be kept, what else was used since the last one, and how much there may be."""

    row: Row
    used: Sequence[tuple[float, str]]
    bounds: Bounds


class SqliteResponses:
    """`Responses` over the user's file."""

    def __init__(self, writer: Writer, reader: Database) -> None:
        self._writer = writer
        self._reader = reader
        self._changes = Together(writer, _change)  # in one order: what is dropped and kept anew is there

    async def read(self, key: str) -> Row | None:
        """By key. Raises StoreFault."""
        try:
            row = self._reader.execute(READ, (key,)).fetchone()
        except apsw.Error as error:
            raise translate(error) from None
        return Row(*row) if row else None

    async def stamp(self, key: str) -> float | None:
        """By key, without its body. Raises StoreFault."""
        try:
            row = self._reader.execute(STAMP, (key,)).fetchone()
        except apsw.Error as error:
            raise translate(error) from None
        return row[0] if row else None

    def keep(self, row: Row, used: Sequence[tuple[float, str]], bounds: Bounds) -> None:
        """Within half a second."""
        self._changes.add(Keeping(row, used, bounds))

    def drop(self, key: str) -> None:
        """Within half a second."""
        self._changes.add(key)

    async def meanings(self, scope: str, embedder: str, most: int) -> Sequence[Meaning]:
        """Those of a scope that can be read. Raises StoreFault."""
        try:
            rows = self._reader.execute(MEANINGS, (scope, embedder, most)).fetchall()
        except apsw.Error as error:
            raise translate(error) from None
        found = (read_meaning((key, scope, embedder), words, vector) for key, words, vector in rows)
        return [meaning for meaning in found if meaning is not None]

    def place(self, meaning: Meaning) -> None:
        """Within half a second, beside its answer."""
        row = meaning.key, meaning.scope, meaning.embedder, *packed_meaning(meaning)
        self._writer.later(lambda db: db.execute(PLACE, row))


def _change(db: Database, changes: list[Keeping | str]) -> None:
    bounds: Bounds | None = None
    for change in changes:
        if isinstance(change, str):
            db.execute("DELETE FROM response WHERE key = ?", (change,))
            continue
        row, used, bounds = change
        for touch in used:
            db.execute("UPDATE response SET used = ? WHERE key = ?", touch)
        db.execute(KEEP, (row.key, row.caller, row.receipt, row.at, row.at, row.body, row.seal))
    if bounds is not None:
        _let_go(db, bounds)


def _let_go(db: Database, bounds: Bounds) -> None:
    entries, size = db.execute(EXCESS, (bounds.entries, bounds.bytes)).fetchone() or (0, 0)
    while entries > 0 or size > 0:
        oldest = db.execute(OLDEST, (max(entries, 16),)).fetchall()
        if not oldest:
            return
        for number, length in oldest:
            if entries <= 0 and size <= 0:
                return
            db.execute("DELETE FROM response WHERE id = ?", (number,))
            entries, size = entries - 1, size - length
