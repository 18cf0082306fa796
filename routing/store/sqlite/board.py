"""What one user's Plenum processes tell each other through the file: holds still running, and who is busy.

A `Board` (see `shared.py`). It reads every time and writes only news, so that idle processes cost no write; who lives
is known by the kernel's locks, who is busy by the age of the lock file.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from ...cooldowns import Notice, Reason
from ..faults import StoreFault
from ..news import News
from ..shared import Gathering, SharedLost
from .database import Database
from .locks import Owner
from .writer import Writer

BUSY_S = 120.0  # who has not asked anybody for so long needs no share of the limits

POST = """INSERT INTO notice(name, reason, until, trial) VALUES(?1, ?2, ?3, ?4)
  ON CONFLICT(name) DO UPDATE SET reason = ?2, until = ?3, trial = ?4"""
READ = "SELECT name, reason, until, trial FROM notice WHERE until > ?"


class SqliteBoard:
    """`clock` is seconds since the epoch: processes of one machine share it."""

    def __init__(self, writer: Writer, owner: Owner, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._owner = owner
        self._clock = clock
        self._news = News()

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """Post this process's news, read everybody's. Raises SharedLost. `hints` stay here: each judges by its own."""
        del replica, hints
        now = self._clock()
        fresh = self._news.fresh(news, now)
        try:
            rows = await self._writer.submit(lambda db: _exchange(db, fresh, now)).wait()
        except StoreFault:
            raise SharedLost from None
        self._news.posted(fresh, now)
        return Gathering(tuple(rows), self._owner.busy(now - BUSY_S))


def _exchange(db: Database, fresh: Sequence[Notice], now: float) -> list[Notice]:
    for notice in fresh:
        db.execute(POST, (notice.name, notice.reason, now + notice.left_s, int(notice.trial)))
    if fresh:
        db.execute("DELETE FROM notice WHERE until <= ?", (now,))
    return [_notice(row, now) for row in db.execute(READ, (now,))]


def _notice(row: tuple[str, Reason, float, int], now: float) -> Notice:
    name, reason, until, trial = row
    return Notice(name, reason, until - now, bool(trial))
