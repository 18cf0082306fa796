"""Records and claims in SQL. Writes share the ledger's transaction and fsync; point reads use the second connection."""

import json
from operator import attrgetter

from ..archive import CLAIM_S, Claimed, Deliveries, Record
from ..pending import Pending
from .database import Database, Value
from .locks import Owner
from .together import Together
from .writer import Writer

FIELDS = "id, caller, at, key, body, answer, turn, request_id, parent, delivered"
KEEP = f"INSERT OR REPLACE INTO receipt({FIELDS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
NOTE = KEEP.replace("REPLACE", "IGNORE", 1)
READ = f"SELECT {FIELDS} FROM receipt WHERE id = ? AND caller = ?"  # noqa: S608 - a constant of ours
# The newest is chosen of what is found, nearly always nothing: to have them sorted costs twice the look.
UNDELIVERED = f"""SELECT {FIELDS} FROM receipt WHERE caller = ? AND key = ? AND at >= ? AND delivered = 0
  AND answer IS NOT NULL"""  # noqa: S608 - a constant of ours
DELIVER = "UPDATE receipt SET delivered = ? WHERE id IN (SELECT value FROM json_each(?))"
CLAIM = """INSERT INTO claim(caller, request_id, key, owner, at) VALUES(?1, ?2, ?3, ?4, ?5)
  ON CONFLICT(caller, request_id) DO UPDATE SET key = ?3, owner = ?4, at = ?5, done = NULL"""
LEAD = "UPDATE claim SET done = ? WHERE caller = ? AND request_id = ?"
OWNER = "SELECT owner, done FROM claim WHERE caller = ? AND request_id = ?"
OLDEST_TWENTIETH = "SELECT at FROM receipt ORDER BY at LIMIT 1 OFFSET (SELECT count(*) / 20 FROM receipt)"
REPLAYABLE = "SELECT 1 FROM receipt WHERE id = ? AND answer IS NOT NULL"


class SqliteArchive:
    """`Archive`, `Shredder` and `Claims` over the user's file."""

    def __init__(self, writer: Writer, reader: Database, owner: Owner) -> None:
        self._writer = writer
        self._reader = reader
        self._owner = owner
        self._deliveries = Deliveries()
        self._reached = Together(writer, _deliver)

    def keep(self, record: Record) -> Pending[None]:
        """Store the record and close its claim."""
        return self._writer.submit(lambda db: _keep(db, record))

    def note(self, record: Record) -> None:
        """Within half a second."""
        self._writer.later(lambda db: db.execute(NOTE, _row(record)))

    async def read(self, id: str, caller: str) -> Record | None:  # noqa: A002
        """By id, for its own caller."""
        row = self._reader.execute(READ, (id, caller)).fetchone()
        return Record(*row) if row else None

    async def undelivered(self, caller: str, key: str, since: float) -> Record | None:
        """The newest that did not reach its caller."""
        rows = self._reader.execute(UNDELIVERED, (caller, key, since)).fetchall()
        return self._deliveries.missing(max((Record(*row) for row in rows), key=attrgetter("at"), default=None))

    def deliver(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """Here at once, elsewhere within half a second."""
        self._deliveries.note(id, reached=reached)
        self._reached.add((id, reached))

    def forget(self, id: str) -> Pending[int]:  # noqa: A002
        """One record, and the claim that leads to it."""
        self._writer.hurry()  # a copy that waits to be written must not outlive what is forgotten
        return self._writer.submit(lambda db: forget_where(db, "id = ?", id))

    def forget_before(self, at: float) -> Pending[int]:
        """All older ones."""
        self._writer.hurry()  # a copy that waits to be written must not outlive what is forgotten
        return self._writer.submit(lambda db: forget_where(db, "at < ?", at))

    def trim(self, limit: int) -> Pending[int]:
        """Forget the oldest until the file holds no more than `limit` bytes; how many went."""
        self._writer.hurry()  # a copy that waits to be written must not outlive what is forgotten
        return self._writer.submit(lambda db: _trim(db, limit))

    def claim(self, record: Record) -> Pending[Claimed]:
        """Take the record's request_id if nobody has it."""
        return self._writer.submit(lambda db: _claim(db, self._owner, record))

    def lead(self, caller: str, request_id: str, receipt: str) -> Pending[None]:
        """Close a claim with a record that stands already."""
        return self._writer.submit(lambda db: _run(db, LEAD, (receipt, caller, request_id)))

    def drop(self, caller: str, request_id: str) -> Pending[None]:
        """Give an unfinished one back."""
        query = "DELETE FROM claim WHERE caller = ? AND request_id = ? AND owner = ? AND done IS NULL"
        return self._writer.submit(lambda db: _run(db, query, (caller, request_id, self._owner.id)))

    async def lives(self, caller: str, request_id: str) -> bool | None:
        """By the lock of the process that has it."""
        row = self._reader.execute(OWNER, (caller, request_id)).fetchone()
        return None if row is None else row[1] is not None or row[0] == self._owner.id or self._owner.lives(row[0])


def _run(db: Database, query: str, values: tuple[str, ...]) -> None:
    db.execute(query, values)


def _keep(db: Database, record: Record) -> None:
    db.execute(KEEP, _row(record))
    if record.request_id is not None:
        db.execute(LEAD, (record.id, record.caller, record.request_id))


def _row(record: Record) -> tuple[Value, ...]:
    row = record.id, record.caller, record.at, record.key, record.body, record.answer, record.turn
    return *row, record.request_id, record.parent, record.delivered


def _deliver(db: Database, rows: list[tuple[str, bool]]) -> None:
    last = dict(rows)
    for reached in (True, False):
        if ids := [id for id, it in last.items() if it is reached]:  # noqa: A001
            db.execute(DELIVER, (reached, json.dumps(ids)))


def forget_where(db: Database, condition: str, value: Value) -> int:
    """Forget the records this holds of, and what leads to them; how many there were."""
    db.execute(f"DELETE FROM claim WHERE done IN (SELECT id FROM receipt WHERE {condition})", (value,))  # noqa: S608 - ours
    db.execute(f"DELETE FROM response WHERE receipt IN (SELECT id FROM receipt WHERE {condition})", (value,))  # noqa: S608 - ours
    db.execute(f"DELETE FROM receipt WHERE {condition}", (value,))  # noqa: S608 - ours
    gone = db.changes()
    db.execute("DELETE FROM claim WHERE at < (SELECT max(at) FROM claim) - ?", (CLAIM_S,))
    return gone


def _trim(db: Database, limit: int) -> int:
    """Forget the oldest twentieth again and again, until what the file holds is within `limit` bytes."""
    gone = 0
    while held(db) > limit:
        row = db.execute(OLDEST_TWENTIETH).fetchone()
        if row is None:
            break
        gone += forget_where(db, "at <= ?", row[0])
    return gone


def held(db: Database) -> int:
    """Bytes of the file that something is written on."""
    pages = db.execute("PRAGMA page_count").get - db.execute("PRAGMA freelist_count").get
    return pages * db.execute("PRAGMA page_size").get


def _claim(db: Database, owner: Owner, record: Record) -> Claimed:
    query = "SELECT key, owner, done FROM claim WHERE caller = ? AND request_id = ? AND at > ?"
    row = db.execute(query, (record.caller, record.request_id, record.at - CLAIM_S)).fetchone()
    if row is not None:
        key, other, done = row
        if key != record.key:
            return Claimed("other")
        if done is not None and db.execute(REPLAYABLE, (done,)).fetchone():
            return Claimed("done", done)
        if done is None and other != owner.id and owner.lives(other):
            return Claimed("running")
    db.execute(CLAIM, (record.caller, record.request_id, record.key, owner.id, record.at))
    return Claimed("mine")
