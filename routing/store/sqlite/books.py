"""Reports in SQL, on a connection of their own in a worker thread, so that a year of rows delays nobody's call."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..archive import Record
from ..books import BUCKET_S, DAY_S, HOUR_S, SAMPLES, Habits, Line, Repeat, Sample, Tally, Told
from .database import Database
from .looking import Looking
from .together import Together
from .writer import Writer

LINES = """SELECT (CAST(at AS INTEGER) - ?4) / ?3 * ?3 + ?4, provider, model, caller, task, servers, asked, simulated,
  count(ok), coalesce(sum(ok), 0), coalesce(sum(cost), 0), sum(input), sum(output), sum(cached_input), sum(cache_write),
  sum(reasoning), sum(basis = 'unpriced'), coalesce(sum(CASE state WHEN 3 THEN cost END), 0),
  coalesce(sum(CASE ok WHEN 1 THEN max_tokens END), 0), coalesce(sum(CASE ok WHEN 1 THEN output END), 0)
  FROM attempt WHERE at >= ?1 AND at < ?2 AND state > 0 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1"""
LATENCIES = f"""SELECT at, provider, model, caller, task, servers, latency FROM attempt
  WHERE at >= ? AND at < ? AND ok = 1 AND latency IS NOT NULL ORDER BY at DESC LIMIT {SAMPLES}"""  # noqa: S608 - a constant of ours
PREFIXES = """SELECT provider, model, count(*), sum(input), sum(cached_input) FROM attempt
  WHERE at >= ? AND at < ? AND prefix <> '' AND ok = 1 GROUP BY provider, model, prefix HAVING count(*) >= 3"""
HISTORIES = """SELECT provider, model, count(*), sum(input), sum(cached_input) FROM attempt
  WHERE at >= ? AND at < ? AND history >= 20 AND ok = 1 GROUP BY provider, model"""
# Members of a panel have no key: they are asked the same on purpose.
QUESTIONS = """WITH asked AS (SELECT id, row_number() OVER (PARTITION BY caller, key ORDER BY at) AS nth
    FROM receipt WHERE at >= ? AND at < ? AND key <> '')
  SELECT count(DISTINCT asked.id), coalesce(sum(attempt.cost), 0)
  FROM asked JOIN attempt ON attempt.ask = asked.id WHERE nth > 1"""
TOLD = """SELECT provider, model, count(*), sum(cost), sum(computed) FROM attempt
  WHERE at >= ? AND at < ? AND computed IS NOT NULL GROUP BY provider, model"""
NEWEST = """SELECT id, caller, at, key, body, NULL, NULL, NULL, NULL, delivered FROM receipt
  WHERE ?1 IS NULL OR caller = ?1 ORDER BY at DESC LIMIT ?2"""
TALLIES = "SELECT kind, sum(count), sum(nano), sum(value) FROM tally WHERE hour >= ? AND hour < ? GROUP BY kind"
COUNT = """INSERT INTO tally(hour, kind, count, nano, value) VALUES(?1, ?2, ?3, ?4, ?5)
  ON CONFLICT(hour, kind) DO UPDATE SET count = count + ?3, nano = nano + ?4, value = value + ?5"""


class SqliteBooks:
    """`Books` and `Counters` over the user's file."""

    def __init__(self, path: Path, writer: Writer, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._clock = clock
        self._look = Looking(path)
        self._counts = Together(writer, _count)

    async def lines(self, since: float, until: float, *, day: int | None = None) -> Sequence[Line]:
        """Sums by quarter of an hour, or by day, and everything one can group by; what was just settled is among it."""
        await self._writer.settled()
        bucket, first = (BUCKET_S, 0) if day is None else (DAY_S, day % DAY_S)
        return [Line(*row) for row in await self._look.rows(LINES, since, until, bucket, first)]

    async def first(self) -> float:
        """One look at an index."""
        ((at,),) = await self._look.rows("SELECT min(at) FROM attempt")
        return self._clock() if at is None else float(at)

    async def samples(self, since: float, until: float) -> Sequence[Sample]:
        """Newest first."""
        return [Sample(*row) for row in await self._look.rows(LATENCIES, since, until)]

    async def habits(self, since: float, until: float) -> Habits:
        """Four looks."""
        prefixes = await self._look.rows(PREFIXES, since, until)
        ((questions, nano),) = await self._look.rows(QUESTIONS, since, until)
        histories = await self._look.rows(HISTORIES, since, until)
        told = await self._look.rows(TOLD, since, until)
        return Habits(
            tuple(Repeat(*row) for row in prefixes),
            questions,
            nano,
            tuple(Repeat(*row) for row in histories),
            tuple(Told(*row) for row in told),
        )

    async def tallies(self, since: float, until: float) -> dict[str, Tally]:
        """Whole hours that overlap the stretch, with what this process has just counted."""
        await self._writer.settled()
        hours = int(since) // HOUR_S * HOUR_S, until
        return {kind: (count, nano, value) for kind, count, nano, value in await self._look.rows(TALLIES, *hours)}

    def count(self, kind: str, *, nano: int = 0, value: float = 0.0) -> None:
        """Within half a second."""
        self._counts.add((int(self._clock()) // HOUR_S * HOUR_S, kind, nano, value))

    async def newest(self, limit: int, caller: str | None = None) -> Sequence[Record]:
        """The `Diary`: by time, whoever asked, or one caller's."""
        return [Record(*row) for row in await self._look.rows(NEWEST, caller, limit)]


def _count(db: Database, rows: list[tuple[int, str, int, float]]) -> None:
    sums: dict[tuple[int, str], Tally] = {}
    for hour, kind, nano, value in rows:
        count, nanos, values = sums.get((hour, kind), (0, 0, 0.0))
        sums[hour, kind] = count + 1, nanos + nano, values + value
    for names, tally in sums.items():
        db.execute(COUNT, (*names, *tally))
