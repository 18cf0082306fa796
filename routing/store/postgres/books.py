"""Reports from a server: what `routing/store/books.py` asks for, in PostgreSQL's words."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..archive import Record
from ..books import BUCKET_S, DAY_S, HOUR_S, SAMPLES, Habits, Line, Repeat, Sample, Tally, Told
from .driver import Fetch
from .writer import Writer

LINES = """SELECT (floor((at - $4) / $3) * $3 + $4)::bigint, provider, model, caller, task, servers, asked, simulated,
  count(ok), count(*) FILTER (WHERE ok), coalesce(sum(cost), 0)::bigint, sum(input)::bigint, sum(output)::bigint,
  sum(cached_input)::bigint, sum(cache_write)::bigint, sum(reasoning)::bigint,
  count(*) FILTER (WHERE basis = 'unpriced'), coalesce(sum(cost) FILTER (WHERE state = 3), 0)::bigint,
  coalesce(sum(max_tokens) FILTER (WHERE ok), 0)::bigint, coalesce(sum(output) FILTER (WHERE ok), 0)::bigint
  FROM plenum.attempt WHERE at >= $1 AND at < $2 AND state > 0 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1"""
LATENCIES = f"""SELECT at, provider, model, caller, task, servers, latency FROM plenum.attempt
  WHERE at >= $1 AND at < $2 AND ok AND latency IS NOT NULL ORDER BY at DESC LIMIT {SAMPLES}"""  # noqa: S608 - a constant of ours
REPEATS = """SELECT provider, model, count(*), sum(input)::bigint, sum(cached_input)::bigint FROM plenum.attempt
  WHERE at >= $1 AND at < $2 AND ok"""
PREFIXES = f"{REPEATS} AND prefix <> '' GROUP BY provider, model, prefix HAVING count(*) >= 3"
HISTORIES = f"{REPEATS} AND history >= 20 GROUP BY provider, model"
# Members of a panel have no key: they are asked the same on purpose.
QUESTIONS = """WITH asked AS (SELECT id, row_number() OVER (PARTITION BY caller, key ORDER BY at) AS nth
    FROM plenum.receipt WHERE at >= $1 AND at < $2 AND key <> '')
  SELECT count(DISTINCT asked.id), coalesce(sum(a.cost), 0)::bigint
  FROM asked JOIN plenum.attempt a ON a.ask = asked.id WHERE nth > 1"""
TOLD = """SELECT provider, model, count(*), sum(cost)::bigint, sum(computed)::bigint FROM plenum.attempt
  WHERE at >= $1 AND at < $2 AND computed IS NOT NULL GROUP BY provider, model"""
NEWEST = """SELECT id, caller, at, key, body, NULL, NULL, NULL, NULL, delivered FROM plenum.receipt
  WHERE $1::text IS NULL OR caller = $1 ORDER BY at DESC LIMIT $2"""
TALLIES = """SELECT kind, sum(count)::bigint, sum(nano)::bigint, sum(value) FROM plenum.tally
  WHERE hour >= $1 AND hour < $2 GROUP BY kind"""
COUNT = """WITH counted AS (INSERT INTO plenum.tally AS t(hour, kind, count, nano, value) VALUES ($1, $2, 1, $3, $4)
  ON CONFLICT (hour, kind) DO UPDATE SET count = t.count + 1, nano = t.nano + $3, value = t.value + $4) SELECT NULL"""


class PostgresBooks:
    """`Books` and `Counters` shared by replicas."""

    def __init__(self, writer: Writer, fetch: Fetch, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._fetch = fetch
        self._clock = clock

    async def lines(self, since: float, until: float, *, day: int | None = None) -> Sequence[Line]:
        """Sums by quarter of an hour, or by day, and everything one can group by; what was just settled is among it."""
        await self._writer.settled()
        bucket, first = (BUCKET_S, 0) if day is None else (DAY_S, day % DAY_S)
        return [Line(*row) for row in await self._fetch(LINES, since, until, float(bucket), float(first))]

    async def first(self) -> float:
        """One look at an index."""
        ((at,),) = await self._fetch("SELECT min(at) FROM plenum.attempt")
        return self._clock() if at is None else float(at)

    async def samples(self, since: float, until: float) -> Sequence[Sample]:
        """Newest first."""
        return [Sample(*row) for row in await self._fetch(LATENCIES, since, until)]

    async def habits(self, since: float, until: float) -> Habits:
        """Four looks."""
        (questions, nano), *_ = await self._fetch(QUESTIONS, since, until)
        return Habits(
            prefixes=await self._each(Repeat, PREFIXES, since, until),
            questions=questions,
            questions_nano=nano,
            histories=await self._each(Repeat, HISTORIES, since, until),
            told=await self._each(Told, TOLD, since, until),
        )

    async def tallies(self, since: float, until: float) -> dict[str, Tally]:
        """Whole hours that overlap the stretch, with what this process has just counted."""
        await self._writer.settled()
        rows = await self._fetch(TALLIES, int(since) // HOUR_S * HOUR_S, int(until) + 1)
        return {kind: (count, nano, value) for kind, count, nano, value in rows}

    def count(self, kind: str, *, nano: int = 0, value: float = 0.0) -> None:
        """With the next write."""
        self._writer.later(COUNT, (int(self._clock()) // HOUR_S * HOUR_S, kind, nano, value))

    async def newest(self, limit: int, caller: str | None = None) -> Sequence[Record]:
        """The `Diary`: by time, whoever asked, or one caller's."""
        return [Record(*row) for row in await self._fetch(NEWEST, caller, limit)]

    async def _each(self, make: Callable[..., Any], query: str, since: float, until: float) -> tuple[Any, ...]:
        return tuple(make(*row) for row in await self._fetch(query, since, until))
