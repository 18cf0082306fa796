"""Requests per provider's day, counted in a store: a restart forgets none, and processes of one store count together.

The `Days` of `limits.py`. Counting waits for nothing; `refresh` reads what the others counted.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from .pending import Pending

Counted = Sequence[tuple[str, str, int]]  # name, day, requests


class StoredDays:
    """Days begin at midnight of `zone`, UTC where nobody says otherwise.

    `add` counts one request of a name and day, in the batch of whatever is written next; `read` says what stands.
    """

    def __init__(
        self,
        add: Callable[[str, str], object],
        read: Callable[[], Pending[Counted]],
        zone: tzinfo = UTC,
        *,
        now: Callable[[tzinfo], datetime] = datetime.now,
    ) -> None:
        self._add, self._read, self._zone, self._now = add, read, zone, now
        self._used: dict[str, tuple[str, int]] = {}
        self._since: dict[str, int] = {}  # counted here while a refresh was on its way

    def used(self, name: str) -> tuple[int, float]:
        """Requests today as far as known here, and seconds until midnight."""
        now = self._now(self._zone)
        day, count = self._used.get(name, ("", 0))
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return count if day == now.date().isoformat() else 0, (midnight - now).total_seconds()

    def count(self, name: str) -> None:
        """One more; it costs no write of its own."""
        used, day = self.used(name)[0] + 1, self._now(self._zone).date().isoformat()
        self._used[name] = day, used
        self._since[name] = self._since.get(name, 0) + 1
        self._add(name, day)

    async def refresh(self) -> None:
        """Learn what others counted. What was counted here before is in the store by then. Raises StoreFault."""
        self._since = {}
        rows = await self._read().wait()
        since = self._since
        for name, day, used in rows:
            self._used[name] = day, used + since.get(name, 0)
