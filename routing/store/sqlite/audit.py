"""The audit chain in SQL. The table refuses to be changed; who edits the file itself breaks the chain."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from ..audit import GENESIS, AuditLine, Happening, Verdict, chained, judged
from ..pending import Pending
from .connection import connect
from .database import Database
from .writer import Writer

NEWEST = "SELECT number, at, who, what, subject, detail, hash FROM audit WHERE number > ? ORDER BY number DESC LIMIT ?"
ALL = "SELECT number, at, who, what, subject, detail, hash FROM audit ORDER BY number"
HEAD = "SELECT value FROM meta WHERE key = 'audit_head'"
APPEND = "INSERT INTO audit(number, at, who, what, subject, detail, hash) VALUES(?, ?, ?, ?, ?, ?, ?)"
MOVE = "INSERT OR REPLACE INTO meta(key, value) VALUES('audit_head', ?)"


class SqliteAudit:
    """`Audit` over the user's file."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer

    def append(self, happening: Happening) -> Pending[int]:
        """Durable when awaited. What was put off before it is written before it: the log is in order."""
        self._writer.hurry()
        return self._writer.submit(lambda db: _append(db, happening))

    def later(self, happening: Happening) -> None:
        """Within half a second."""
        self._writer.later(lambda db: _append(db, happening))

    async def lines(self, since: int = 0, limit: int = 100) -> Sequence[AuditLine]:
        """On a connection of its own, in a thread, after what this process put off."""
        await self._writer.settled()
        return await run_sync(self._lines, since, limit)

    async def verify(self) -> Verdict:
        """On a connection of its own, in a thread, after what this process put off."""
        await self._writer.settled()
        return await run_sync(self._verify)

    def _lines(self, since: int, limit: int) -> Sequence[AuditLine]:
        db = connect(self._path, read_only=True)
        try:
            return [_line(row) for row in reversed(db.execute(NEWEST, (since, limit)).fetchall())]
        finally:
            db.close()

    def _verify(self) -> Verdict:
        db = connect(self._path, read_only=True)
        try:
            db.execute("BEGIN")  # head and lines of one moment
            head = db.execute(HEAD).get
            return judged(_walk(db), bytes.fromhex(head) if head else GENESIS)
        finally:
            db.close()


def _append(db: Database, happening: Happening) -> int:
    row = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    last, before = row or (0, GENESIS)
    number, h = last + 1, happening
    hash_ = chained(before, number, happening)
    db.execute(APPEND, (number, h.at, h.who, h.what, h.subject, h.detail, hash_))
    db.execute(MOVE, (hash_.hex(),))
    return number


def _walk(db: Database) -> Iterator[AuditLine]:
    return (_line(row) for row in db.execute(ALL))


def _line(row: tuple[Any, ...]) -> AuditLine:
    number, at, who, what, subject, detail, hash_ = row
    return AuditLine(number, Happening(at, who, what, subject, detail), bytes(hash_))
