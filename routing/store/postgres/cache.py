"""Kept answers on a server: shared by replicas where there is no Redis, and behind it where there is one.

Reads have their own patience: an answer that may be known is not worth waiting for a server that is away.
"""

from collections.abc import Sequence

from ..cache import Bounds, Meaning, Row, packed_meaning, read_meaning
from .driver import Fetch
from .writer import Writer

PATIENCE_S = 0.5

READ = "SELECT key, caller, receipt, at, body, seal FROM plenum.response WHERE key = $1"
STAMP = "SELECT at FROM plenum.response WHERE key = $1"
KEEP = "SELECT plenum.keep_response($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
DROP = "WITH gone AS (DELETE FROM plenum.response WHERE key = $1) SELECT NULL"
MEANINGS = "SELECT key, words, vector FROM plenum.meaning WHERE scope = $1 AND embedder = $2 LIMIT $3"
PLACE = """WITH placed AS (INSERT INTO plenum.meaning
    SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM plenum.response WHERE key = $1)
    ON CONFLICT (key) DO UPDATE SET scope = $2, embedder = $3, words = $4, vector = $5) SELECT NULL"""


class PostgresResponses:
    """`Responses` and `Meanings` shared by replicas. Vectors are compared where they are asked for, not here."""

    def __init__(self, writer: Writer, fetch: Fetch) -> None:
        self._writer = writer
        self._fetch = fetch

    async def read(self, key: str) -> Row | None:
        """By key. Raises StoreFault."""
        for name, caller, receipt, at, body, seal in await self._fetch(READ, key):
            return Row(name, caller, receipt, at, bytes(body), bytes(seal))
        return None

    async def stamp(self, key: str) -> float | None:
        """By key, without its body. Raises StoreFault."""
        for (at,) in await self._fetch(STAMP, key):
            return float(at)
        return None

    def keep(self, row: Row, used: Sequence[tuple[float, str]], bounds: Bounds) -> None:
        """With the next batch."""
        own = row.key, row.caller, row.receipt, row.at, row.body, row.seal
        touched = [key for _, key in used], [at for at, _ in used]
        self._writer.later(KEEP, (*own, *touched, bounds.entries, bounds.bytes))

    def drop(self, key: str) -> None:
        """With the next batch."""
        self._writer.later(DROP, (key,))

    async def meanings(self, scope: str, embedder: str, most: int) -> Sequence[Meaning]:
        """Those of a scope that can be read. Raises StoreFault."""
        rows = await self._fetch(MEANINGS, scope, embedder, most)
        found = (read_meaning((key, scope, embedder), bytes(words), bytes(vector)) for key, words, vector in rows)
        return [meaning for meaning in found if meaning is not None]

    def place(self, meaning: Meaning) -> None:
        """With the next batch, beside its answer."""
        words, vector = packed_meaning(meaning)
        self._writer.later(PLACE, (meaning.key, meaning.scope, meaning.embedder, words, vector))
