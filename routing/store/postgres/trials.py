"""Trials on a server, of all replicas."""

from collections.abc import Sequence

from ..trials import Arm, Past, Trial
from .driver import Fetch
from .writer import Writer

NOTE = """WITH noted AS (INSERT INTO plenum.trial
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (experiment, id) DO NOTHING) SELECT NULL"""
SINCE = """SELECT experiment, id, arm, at, model, ok, code, nano, latency, faults, pair, agreement, basis
  FROM plenum.trial WHERE at >= $1 ORDER BY at"""
ARM = "SELECT arm FROM plenum.trial WHERE experiment = $1 AND id = $2"
PAST = """SELECT body, turn, coalesce((SELECT asked FROM plenum.attempt WHERE ask = r.id LIMIT 1), '')
  FROM plenum.receipt r WHERE at >= $1 ORDER BY at DESC LIMIT $2"""


class PostgresTrials:
    """`Trials` shared by replicas."""

    def __init__(self, writer: Writer, fetch: Fetch) -> None:
        self._writer = writer
        self._fetch = fetch

    def note(self, trial: Trial) -> None:
        """With the next write."""
        t = trial
        row = t.experiment, t.id, t.arm, t.at, t.model, t.ok, t.code, t.nano, t.latency_s, t.faults, t.pair
        self._writer.later(NOTE, (*row, t.agreement, t.basis))

    async def since(self, at: float) -> Sequence[Trial]:
        """Oldest first."""
        return [Trial(*row) for row in await self._fetch(SINCE, at)]

    async def arm(self, experiment: str, id: str) -> Arm | None:  # noqa: A002
        """One look."""
        rows = await self._fetch(ARM, experiment, id)
        return rows[0][0] if rows else None

    async def past(self, since: float, limit: int) -> Sequence[Past]:
        """Newest read first, given oldest first."""
        rows = await self._fetch(PAST, since, limit)
        return [Past(bytes(body), turn and bytes(turn), asked) for body, turn, asked in reversed(rows)]
