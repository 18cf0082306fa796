"""Requests per provider's day, counted in the file: a restart forgets none, and processes of one user count together.

The `Days` of `limits.py`. Counting waits for nothing; `refresh` reads what the others counted.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from .database import Database
from .writer import Writer

COUNT = """INSERT INTO rpd(name, day, used) VALUES(?1, ?2, 1)
  ON CONFLICT(name) DO UPDATE SET used = CASE WHEN day = ?2 THEN used + 1 ELSE 1 END, day = ?2"""


class SqliteDays:
    """Days begin at midnight of `zone`, UTC where nobody says otherwise."""

    def __init__(self, writer: Writer, zone: tzinfo = UTC, *, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        self._writer, self._zone, self._now = writer, zone, now
        self._used: dict[str, tuple[str, int]] = {}
        self._since: dict[str, int] = {}  # counted here while a refresh was on its way

    def used(self, name: str) -> tuple[int, float]:
        """Requests today as far as known here, and seconds until midnight."""
        now = self._now(self._zone)
        day, count = self._used.get(name, ("", 0))
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return count if day == now.date().isoformat() else 0, (midnight - now).total_seconds()

    def count(self, name: str) -> None:
        """One more; in the batch of the reservation that comes with it, so that it costs no write of its own."""
        used, day = self.used(name)[0] + 1, self._now(self._zone).date().isoformat()
        self._used[name] = day, used
        self._since[name] = self._since.get(name, 0) + 1
        self._writer.submit(lambda db: db.execute(COUNT, (name, day)))

    async def refresh(self) -> None:
        """Learn what others counted. What was counted here before is in the file by then. Raises StoreFault."""
        self._since = {}
        rows = await self._writer.submit(_read).wait()
        since = self._since
        for name, day, used in rows:
            self._used[name] = day, used + since.get(name, 0)


def _read(db: Database) -> list[tuple[str, str, int]]:
    return list(db.execute("SELECT name, day, used FROM rpd"))
