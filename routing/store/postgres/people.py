"""What people are known by and what they said, on a server: virtual keys and marks. Few rows, small ones."""

from collections.abc import Sequence
from typing import Any

from ..marks import Mark
from ..pending import Pending
from ..tokens import Token
from .driver import Fetch
from .writer import Writer

FRESH_S = 2.0  # how old a replica's copy of the virtual keys may be: a revoked one opens no longer than that

PUT = "SELECT plenum.put_token($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
REVOKE = """WITH ended AS (UPDATE plenum.token SET revoked = $1 WHERE name = $2 AND revoked IS NULL RETURNING 1)
  SELECT count(*) > 0 FROM ended"""
TOKENS = """SELECT name, hash, scopes, models, daily_usd, monthly_usd, rpm, created, expires, revoked
  FROM plenum.token ORDER BY name"""
KEEP = """WITH kept AS (INSERT INTO plenum.mark VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE
  SET caller = $2, at = $3, ok = $4, kind = $5, scale = $6, raw = $7, models = $8, others = $9) SELECT NULL"""
MARKS = "SELECT id, caller, at, ok, kind, scale, raw, models, others FROM plenum.mark ORDER BY at"


class PostgresTokens:
    """`Tokens` shared by replicas: read from a copy that `refresh` keeps fresh."""

    def __init__(self, writer: Writer, fetch: Fetch) -> None:
        self._writer = writer
        self._fetch = fetch
        self._known: tuple[Token, ...] = ()

    async def refresh(self) -> None:
        """Read them all; there are few. Raises StoreFault."""
        self._known = tuple(_token(row) for row in await self._fetch(TOKENS))

    def put(self, token: Token) -> Pending[bool]:
        """A name is free again once its token has ended."""
        t = token
        row = t.name, t.hash, list(t.scopes), list(t.models), t.daily_usd, t.monthly_usd, t.rpm
        pending = self._writer.submit(PUT, (*row, t.created, t.expires, t.revoked), bool)
        pending.then(lambda kept, _: self._learn(token) if kept else None)
        return pending

    def revoke(self, name: str, at: float) -> Pending[bool]:
        """Here from the next request on, at other replicas after `FRESH_S`."""
        pending = self._writer.submit(REVOKE, (at, name), bool)
        pending.then(lambda ended, _: self._forget(name) if ended else None)
        return pending

    def by_hash(self, hash: bytes) -> Token | None:  # noqa: A002
        """From the copy."""
        return next((token for token in self._known if token.hash == hash), None)

    def all(self) -> Sequence[Token]:
        """The copy."""
        return self._known

    def _learn(self, token: Token) -> None:
        self._known = tuple(sorted((*(t for t in self._known if t.name != token.name), token), key=lambda t: t.name))

    def _forget(self, name: str) -> None:
        self._known = tuple(token for token in self._known if token.name != name)


class PostgresMarks:
    """`Marks` shared by replicas."""

    def __init__(self, writer: Writer, fetch: Fetch) -> None:
        self._writer = writer
        self._fetch = fetch

    def keep(self, mark: Mark) -> Pending[None]:
        """With the next commit."""
        row = mark.id, mark.caller, mark.at, mark.right, mark.kind, mark.table, mark.raw
        return self._writer.submit(KEEP, (*row, list(mark.models), list(mark.others)), lambda _: None)

    async def all(self) -> Sequence[Mark]:
        """As committed."""
        return [_mark(row) for row in await self._fetch(MARKS)]

    async def asker(self, id: str) -> str | None:  # noqa: A002
        """The caller of the receipt."""
        rows = await self._fetch("SELECT caller FROM plenum.receipt WHERE id = $1", id)
        return str(rows[0][0]) if rows else None


def _mark(row: Sequence[Any]) -> Mark:
    *told, models, others = tuple(row)
    return Mark(*told, models=tuple(models), others=tuple(others))


def _token(row: Sequence[Any]) -> Token:
    name, hash_, scopes, models, *limits = tuple(row)
    return Token(name, bytes(hash_), tuple(scopes), tuple(models), *limits)
