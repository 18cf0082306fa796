"""Trials in SQL; written beside the asks they are about, read whole on a thread of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ..trials import Arm, Past, Trial
from .database import Database
from .looking import Looking
from .writer import Writer

COLUMNS = "experiment, id, arm, at, model, ok, code, nano, latency, faults, pair, agreement, basis"
NOTE = f"INSERT OR REPLACE INTO trial({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SINCE = f"SELECT {COLUMNS} FROM trial WHERE at >= ? ORDER BY at"  # noqa: S608 - ours
ARM = "SELECT arm FROM trial WHERE experiment = ? AND id = ?"
PAST = """SELECT body, turn, coalesce((SELECT asked FROM attempt WHERE ask = receipt.id LIMIT 1), '') FROM receipt
  WHERE at >= ? ORDER BY at DESC LIMIT ?"""


class SqliteTrials:
    """`Trials` over the user's file."""

    def __init__(self, path: Path, writer: Writer, reader: Database) -> None:
        self._writer = writer
        self._reader = reader
        self._look = Looking(path)

    def note(self, trial: Trial) -> None:
        """With the next write."""
        t = trial
        row = t.experiment, t.id, t.arm, t.at, t.model, t.ok, t.code, t.nano, t.latency_s, t.faults, t.pair
        self._writer.later(lambda db: db.execute(NOTE, (*row, t.agreement, t.basis)))

    async def since(self, at: float) -> Sequence[Trial]:
        """Oldest first."""
        return [_trial(row) for row in await self._look.rows(SINCE, at)]

    async def arm(self, experiment: str, id: str) -> Arm | None:  # noqa: A002
        """One look."""
        return cast("Arm | None", self._reader.execute(ARM, (experiment, id)).get)

    async def past(self, since: float, limit: int) -> Sequence[Past]:
        """Newest read first, given oldest first."""
        return [Past(*row) for row in reversed(await self._look.rows(PAST, since, limit))]


def _trial(row: tuple[Any, ...]) -> Trial:
    experiment, id, arm, at, model, ok, *rest = row  # noqa: A001 - the column's name
    return Trial(experiment, id, arm, at, model, bool(ok), *rest)
