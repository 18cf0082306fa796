"""Kept answers in SQL. Reads are points by primary key on the second connection; writes wait for company."""

from collections.abc import Sequence

import apsw

from ..cache import Bounds, Meaning, Row, packed_meaning, read_meaning
from .connection import translate
from .database import Database
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


class SqliteResponses:
    """`Responses` over the user's file."""

    def __init__(self, writer: Writer, reader: Database) -> None:
        self._writer = writer
        self._reader = reader

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
        self._writer.later(lambda db: _keep(db, row, used, bounds))

    def drop(self, key: str) -> None:
        """Within half a second."""
        self._writer.later(lambda db: db.execute("DELETE FROM response WHERE key = ?", (key,)))

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


def _keep(db: Database, row: Row, used: Sequence[tuple[float, str]], bounds: Bounds) -> None:
    for touch in used:
        db.execute("UPDATE response SET used = ? WHERE key = ?", touch)
    db.execute(KEEP, (row.key, row.caller, row.receipt, row.at, row.at, row.body, row.seal))
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
