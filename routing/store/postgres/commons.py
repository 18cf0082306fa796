"""What replicas tell each other through the server where there is no Redis: holds, who is at work, requests per day."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo

from ...cooldowns import Notice
from ..days import StoredDays
from ..news import StoredBoard
from ..pending import Pending
from ..shared import Gathering
from .writer import Writer

PRESENT_S = 15.0  # who has not exchanged for so long takes no share of the limits

EXCHANGE = "SELECT plenum.exchange($1, $2, $3::jsonb)"
COUNT = """WITH counted AS (INSERT INTO plenum.rpd VALUES ($1, $2, 1) ON CONFLICT (name) DO UPDATE
  SET used = CASE WHEN rpd.day = $2 THEN rpd.used + 1 ELSE 1 END, day = $2) SELECT NULL"""
READ = "SELECT coalesce(jsonb_agg(jsonb_build_array(name, day, used)), '[]') FROM plenum.rpd"


class PostgresBoard(StoredBoard):
    """On the server's clock: `clock` only tells what is news."""

    def __init__(self, writer: Writer, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        async def _post(fresh: Sequence[Notice], now: float) -> Gathering:
            del now
            told = json.dumps([[notice.name, notice.reason, notice.left_s, notice.trial] for notice in fresh])
            found = await writer.submit(EXCHANGE, (owner, PRESENT_S, told), json.loads).wait()
            return Gathering(tuple(Notice(*notice) for notice in found["notices"]), max(1, found["replicas"]))

        super().__init__(_post, clock)


class PostgresDays(StoredDays):
    """Counted together by all replicas."""

    def __init__(self, writer: Writer, zone: tzinfo = UTC, *, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        def _add(name: str, day: str) -> Pending[None]:
            return writer.submit(COUNT, (name, day), lambda _: None)

        super().__init__(_add, lambda: writer.submit(READ, (), json.loads), zone, now=now)
