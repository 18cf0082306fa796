"""What one user's Plenum processes tell each other through the file: holds still running, and who is busy.

Idle processes cost no write; who lives is known by the kernel's locks, who is busy by the age of the lock file.
"""

import time
from collections.abc import Callable, Sequence

from ...cooldowns import Notice, Reason
from ..news import StoredBoard
from ..shared import Gathering
from .database import Database
from .locks import Owner
from .writer import Writer

BUSY_S = 120.0  # who has not asked anybody for so long needs no share of the limits

POST = """INSERT INTO notice(name, reason, until, trial) VALUES(?1, ?2, ?3, ?4)
  ON CONFLICT(name) DO UPDATE SET reason = ?2, until = ?3, trial = ?4"""
READ = "SELECT name, reason, until, trial FROM notice WHERE until > ?"


class SqliteBoard(StoredBoard):
    """`clock` is seconds since the epoch: processes of one machine share it."""

    def __init__(self, writer: Writer, owner: Owner, clock: Callable[[], float] = time.time) -> None:
        async def _post(fresh: Sequence[Notice], now: float) -> Gathering:
            rows = await writer.submit(lambda db: _exchange(db, fresh, now)).wait()
            return Gathering(tuple(rows), owner.busy(now - BUSY_S))

        super().__init__(_post, clock)


def _exchange(db: Database, fresh: Sequence[Notice], now: float) -> list[Notice]:
    for notice in fresh:
        db.execute(POST, (notice.name, notice.reason, now + notice.left_s, int(notice.trial)))
    if fresh:
        db.execute("DELETE FROM notice WHERE until <= ?", (now,))
    return [_notice(row, now) for row in db.execute(READ, (now,))]


def _notice(row: tuple[str, Reason, float, int], now: float) -> Notice:
    name, reason, until, trial = row
    return Notice(name, reason, until - now, bool(trial))
