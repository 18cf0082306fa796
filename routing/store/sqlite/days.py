"""Requests per day in the user's file (`store/days.py`)."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from ..days import StoredDays
from ..pending import Pending
from .database import Database
from .writer import Writer

COUNT = """INSERT INTO rpd(name, day, used) VALUES(?1, ?2, 1)
  ON CONFLICT(name) DO UPDATE SET used = CASE WHEN day = ?2 THEN used + 1 ELSE 1 END, day = ?2"""


class SqliteDays(StoredDays):
    """Counted through the store's one writer."""

    def __init__(self, writer: Writer, zone: tzinfo = UTC, *, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        def _add(name: str, day: str) -> Pending[object]:
            return writer.submit(lambda db: db.execute(COUNT, (name, day)))

        super().__init__(_add, lambda: writer.submit(_read), zone, now=now)


def _read(db: Database) -> list[tuple[str, str, int]]:
    return list(db.execute("SELECT name, day, used FROM rpd"))
