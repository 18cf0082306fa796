"""Records and claims on a server. Receipts lie in a partition a month, so that retention drops tables, not rows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..archive import CLAIM_S, Claimed, Deliveries, Record
from ..pending import Pending
from .driver import Fetch
from .ledger import LEASE_S
from .writer import Writer

FIELDS = "id, caller, at, key, body, answer, turn, request_id, parent, delivered"
KEEP = f"""WITH kept AS (
    INSERT INTO plenum.receipt({FIELDS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING),
  done AS (UPDATE plenum.claim SET done = $1 WHERE caller = $2 AND request_id = $8) SELECT NULL"""  # noqa: S608 - ours
READ = f"SELECT {FIELDS} FROM plenum.receipt WHERE id = $1 AND caller = $2 ORDER BY at DESC LIMIT 1"  # noqa: S608 - a constant of ours
UNDELIVERED = f"""SELECT {FIELDS} FROM plenum.receipt WHERE caller = $1 AND key = $2 AND at >= $3 AND NOT delivered
  AND answer IS NOT NULL ORDER BY at DESC LIMIT 1"""  # noqa: S608 - a constant of ours
DELIVER = "WITH told AS (UPDATE plenum.receipt SET delivered = $2 WHERE id = $1) SELECT NULL"
FORGET = """WITH claims AS (DELETE FROM plenum.claim WHERE done = $1),
  gone AS (DELETE FROM plenum.receipt WHERE id = $1 RETURNING 1) SELECT count(*) FROM gone"""
FORGET_BEFORE = "SELECT plenum.forget_before($1, $2)"
TRIM = "SELECT plenum.trim_to($1)"
CLAIM = "SELECT plenum.claim($1, $2, $3, $4, $5, $6, $7)"
DROP = """WITH gone AS (DELETE FROM plenum.claim WHERE caller = $1 AND request_id = $2 AND owner = $3 AND done IS NULL)
  SELECT NULL"""
LEAD = """WITH told AS (UPDATE plenum.claim SET done = $1 WHERE caller = $2 AND request_id = $3) SELECT NULL"""
LIVES = """SELECT done IS NOT NULL OR EXISTS (SELECT 1 FROM plenum.owner o
    WHERE o.id = claim.owner AND o.seen >= clock_timestamp() - make_interval(secs => $3))
  FROM plenum.claim WHERE caller = $1 AND request_id = $2"""
PARTITION = "SELECT plenum.month_partition($1, $2, $3)"


class PostgresArchive:
    """`Archive`, `Shredder` and `Claims` shared by replicas."""

    def __init__(self, writer: Writer, fetch: Fetch, owner: str) -> None:
        self._writer = writer
        self._fetch = fetch
        self._owner = owner
        self._months: set[str] = set()
        self._deliveries = Deliveries()

    def keep(self, record: Record) -> Pending[None]:
        """Store the record and close its claim."""
        self._partition(record.at)
        return self._writer.submit(KEEP, _row(record), _nothing, lasting=True)

    def note(self, record: Record) -> None:
        """With the next write."""
        self._partition(record.at)
        self._writer.later(KEEP, _row(record))

    async def read(self, id: str, caller: str) -> Record | None:  # noqa: A002
        """By id, for its own caller."""
        return _record(await self._fetch(READ, id, caller))

    async def undelivered(self, caller: str, key: str, since: float) -> Record | None:
        """The newest that did not reach its caller."""
        return self._deliveries.missing(_record(await self._fetch(UNDELIVERED, caller, key, since)))

    def deliver(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """Here at once, elsewhere with the next write."""
        self._deliveries.note(id, reached=reached)
        self._writer.later(DELIVER, (id, reached))

    def forget(self, id: str) -> Pending[int]:  # noqa: A002
        """One record, and the claim that leads to it."""
        return self._writer.submit(FORGET, (id,), int)

    def forget_before(self, at: float) -> Pending[int]:
        """All older ones: whole months by dropping their partition."""
        self._months.clear()
        return self._writer.submit(FORGET_BEFORE, (at, CLAIM_S), int)

    def trim(self, limit: int) -> Pending[int]:
        """The oldest first; what counts is what receipts, answers and turns hold."""
        return self._writer.submit(TRIM, (limit,), int)

    def claim(self, record: Record) -> Pending[Claimed]:
        """Take the record's request_id if nobody has it."""
        asked = record.caller, record.request_id, record.key, self._owner, record.at, CLAIM_S, LEASE_S
        return self._writer.submit(CLAIM, asked, lambda row: Claimed(*json.loads(row)))

    def lead(self, caller: str, request_id: str, receipt: str) -> Pending[None]:
        """Close a claim with a record that stands already."""
        return self._writer.submit(LEAD, (receipt, caller, request_id), _nothing)

    def drop(self, caller: str, request_id: str) -> Pending[None]:
        """Give an unfinished one back."""
        return self._writer.submit(DROP, (caller, request_id, self._owner), _nothing)

    async def lives(self, caller: str, request_id: str) -> bool | None:
        """By the lease of the replica that has it."""
        rows = await self._fetch(LIVES, caller, request_id, LEASE_S)
        return bool(rows[0][0]) if rows else None

    def _partition(self, at: float) -> None:
        first = datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        name = f"receipt_{first:%Y_%m}"
        if name not in self._months:
            ends = (first + timedelta(days=31)).replace(day=1)
            made = self._writer.submit(PARTITION, (name, first.timestamp(), ends.timestamp()), _nothing)
            made.then(lambda _, error: None if error else self._months.add(name))


def _nothing(row: Any) -> None:
    del row


def _row(record: Record) -> tuple[Any, ...]:
    row = record.id, record.caller, record.at, record.key, record.body, record.answer, record.turn
    return *row, record.request_id, record.parent, record.delivered


def _record(rows: Sequence[Any]) -> Record | None:
    return Record(*rows[0]) if rows else None
