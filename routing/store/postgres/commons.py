"""What replicas tell each other through the server where there is no Redis: holds, who is at work, requests per day."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from ...cooldowns import Notice
from ..days import StoredDays
from ..faults import StoreFault
from ..news import News
from ..pending import Pending
from ..shared import Gathering, SharedLost
from .writer import Writer

PRESENT_S = 15.0  # who has not exchanged for so long takes no share of the limits

EXCHANGE = "SELECT plenum.exchange($1, $2, $3::jsonb)"
COUNT = """WITH counted AS (INSERT INTO plenum.rpd VALUES ($1, $2, 1) ON CONFLICT (name) DO UPDATE
  SET used = CASE WHEN rpd.day = $2 THEN rpd.used + 1 ELSE 1 END, day = $2) SELECT NULL"""
READ = "SELECT coalesce(jsonb_agg(jsonb_build_array(name, day, used)), '[]') FROM plenum.rpd"


class PostgresBoard:
    """A `Board` (see `shared.py`) on the server's clock. `clock` only tells what is news."""

    def __init__(self, writer: Writer, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._owner = owner
        self._clock = clock
        self._news = News()

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """Post this replica's news, read everybody's. Raises SharedLost. `hints` stay here: each judges by its own."""
        del replica, hints
        now = self._clock()
        fresh = self._news.fresh(news, now)
        told = json.dumps([[notice.name, notice.reason, notice.left_s, notice.trial] for notice in fresh])
        try:
            found = await self._writer.submit(EXCHANGE, (self._owner, PRESENT_S, told), json.loads).wait()
        except StoreFault:
            raise SharedLost from None
        self._news.posted(fresh, now)
        return Gathering(tuple(Notice(*notice) for notice in found["notices"]), max(1, found["replicas"]))


class PostgresDays(StoredDays):
    """Counted together by all replicas."""

    def __init__(self, writer: Writer, zone: tzinfo = UTC, *, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        def _add(name: str, day: str) -> Pending[None]:
            return writer.submit(COUNT, (name, day), lambda _: None)

        super().__init__(_add, lambda: writer.submit(READ, (), json.loads), zone, now=now)
