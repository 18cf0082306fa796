"""Virtual keys in SQL."""

from collections.abc import Sequence
from typing import Any

from ..pending import Pending
from ..tokens import Token
from .database import Database
from .writer import Writer

FIELDS = "name, hash, scopes, models, daily_usd, monthly_usd, rpm, created, expires, revoked"
BY_HASH = f"SELECT {FIELDS} FROM token WHERE hash = ?"  # noqa: S608 - a constant of ours
ALL = f"SELECT {FIELDS} FROM token ORDER BY name"  # noqa: S608 - a constant of ours
TAKEN = "SELECT 1 FROM token WHERE name = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)"
PUT = f"INSERT OR REPLACE INTO token({FIELDS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REVOKE = "UPDATE token SET revoked = ? WHERE name = ? AND revoked IS NULL"


class SqliteTokens:
    """`Tokens` over the user's file."""

    def __init__(self, writer: Writer, reader: Database) -> None:
        self._writer = writer
        self._reader = reader

    def put(self, token: Token) -> Pending[bool]:
        """A name is free again once its token has ended."""
        return self._writer.submit(lambda db: _put(db, token))

    def revoke(self, name: str, at: float) -> Pending[bool]:
        """From the next request on."""
        return self._writer.submit(lambda db: _revoke(db, name, at))

    def by_hash(self, hash: bytes) -> Token | None:  # noqa: A002
        """By its unique index."""
        row = self._reader.execute(BY_HASH, (hash,)).fetchone()
        return _token(row) if row else None

    def all(self) -> Sequence[Token]:
        """There are few."""
        return [_token(row) for row in self._reader.execute(ALL)]


def _put(db: Database, token: Token) -> bool:
    if db.execute(TAKEN, (token.name, token.created)).fetchone():
        return False
    t = token
    row = t.name, t.hash, " ".join(t.scopes), " ".join(t.models), t.daily_usd, t.monthly_usd, t.rpm
    db.execute(PUT, (*row, t.created, t.expires, t.revoked))
    return True


def _revoke(db: Database, name: str, at: float) -> bool:
    db.execute(REVOKE, (at, name))
    return db.changes() > 0


def _token(row: tuple[Any, ...]) -> Token:
    name, hash_, scopes, models, *limits = row
    return Token(name, bytes(hash_), tuple(scopes.split()), tuple(models.split()), *limits)
