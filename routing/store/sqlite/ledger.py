"""The ledger in SQL: every function runs inside the writer's transaction and is all or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..ledger import (
    STATES,
    Closing,
    Entry,
    Envelope,
    Limit,
    Limits,
    OverBudget,
    Reserved,
    Settled,
    Standing,
    Window,
    scopes,
)
from ..pending import Pending
from .database import Database
from .locks import Owner
from .sums import Sums
from .writer import Writer

BACKWARDS_S = 86_400.0  # a clock that goes back less than this does not reopen a window; a larger step is a correction

COLUMNS = {"provider": "provider", "model": "provider || '/' || model", "caller": "caller", "task": "task"}
INSERT = """INSERT INTO attempt(owner, at, ask, number, part_of, caller, task, provider, model, asked, servers,
  simulated, held, max_tokens, prefix, history, state) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"""
BOOK = """INSERT INTO attempt(owner, at, ask, number, part_of, caller, task, provider, model, asked, servers, simulated,
  held, max_tokens, prefix, history, state, latency, cost, basis, price, model_returned, ok, computed, input, output,
  cached_input, cache_write, reasoning)
  SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
  WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE owner = ? AND at = ? AND ask = ? AND number = ?)"""
CLOSE = """UPDATE attempt SET state = ?, latency = ?, cost = ?, basis = ?, price = ?, model_returned = ?, ok = ?,
  computed = ?, input = ?, output = ?, cached_input = ?, cache_write = ?, reasoning = ? WHERE id = ? AND state = 0
  RETURNING held, at, provider, model, caller, task"""
STANDING = "SELECT spent, held FROM budget WHERE scope = ? AND ends = ? AND starts = ?"
UNSURE = """SELECT id, state, held, coalesce(cost, 0), at, provider, model, caller, task FROM attempt
  WHERE ask = ? AND state IN (0, 3) ORDER BY id DESC LIMIT 1"""
USED = """SELECT coalesce(sum(CASE state WHEN 0 THEN held ELSE coalesce(cost, 0) END), 0) FROM attempt
  WHERE id IN (SELECT id FROM attempt WHERE ask = ?1 UNION SELECT id FROM attempt WHERE part_of = ?1)"""


class SqliteLedger:
    """`Ledger` over the file of one user, shared by all Plenum processes. See `routing/store/ledger.py`."""

    def __init__(self, writer: Writer, sums: Sums, reader: Database, owner: Owner) -> None:
        self._writer = writer
        self._sums = sums
        self._reader = reader
        self._owner = owner

    def reserve(self, entry: Entry, limits: Limits) -> Pending[Reserved]:
        """Hold in one step, or raise OverBudget."""
        self._owner.touch()
        return self._writer.submit(lambda db: reserve(db, self._sums, self._owner.id, entry, limits))

    def settle(self, reservation: int, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book once, in one transaction with the answer, which is kept in the same turn."""
        return self._writer.submit(lambda db: settle(db, self._sums, reservation, closing, limits))

    def amend(self, ask: str, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book what is known now."""
        return self._writer.submit(lambda db: amend(db, self._sums, ask, closing, limits))

    def draw(self, lease: int, entry: Entry, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book once, in one transaction with the answer, which is kept in the same turn."""
        promise = lease, entry, closing
        return self._writer.submit(lambda db: draw(db, self._sums, self._owner.id, promise, limits))

    def release(self, lease: int, amount: int | None) -> Pending[bool]:
        """Give back."""
        return self._writer.submit(lambda db: release(db, self._sums, lease, amount))

    async def standings(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """Committed sums; windows nobody has opened yet are counted from the attempts."""
        return tuple(_standing(self._reader, limit.window) or _count(self._reader, limit.window) for limit in limits)

    def reclaim(self) -> Pending[int]:
        """Charge the dead, after what may wait."""
        self._writer.hurry()
        return self._writer.submit(lambda db: reclaim(db, self._sums, self._owner))


def reserve(db: Database, sums: Sums, owner: str, entry: Entry, limits: Limits) -> Reserved:
    """Look at every window and envelope, then hold in all of them."""
    at = _time(sums, entry.at)
    windows = {s.window: s for s in sums.of(entry.scopes, at)}
    for limit in limits(at, entry.scopes):
        if (s := windows.get(limit.window)) is None:
            sums.write()  # so that what is counted is there
            s = windows[limit.window] = sums.open(_count(db, limit.window))
        room = limit.cap + entry.extra - s.spent - s.held
        if 0 < entry.held > room:
            raise OverBudget(limit.window.scope, room, limit)
    used = tuple((envelope.id, _fit(db, envelope, entry.held)) for envelope in entry.envelopes)
    db.execute(INSERT, _opened(owner, entry if at == entry.at else replace(entry, at=at)))
    sums.booked(at)
    sums.move(windows.values(), held=entry.held)
    return Reserved(db.last_insert_rowid(), tuple(s.standing() for s in windows.values()), used)


def settle(db: Database, sums: Sums, id: int, closing: Closing, limits: Limits) -> Settled:  # noqa: A002
    """Move the held amount to what it cost, in the windows of the time it was reserved at."""
    row = db.execute(CLOSE, (*_ended(closing), id)).fetchone()
    if row is None:
        return Settled(fresh=False)
    held, at, *who = row
    names = scopes(*who)
    windows = sums.of(names, at)
    sums.move(windows, spent=closing.cost or 0, held=-held)
    return Settled(True, tuple(s.standing() for s in windows), sums.passed(windows, limits(at, names)))


def draw(db: Database, sums: Sums, owner: str, promise: tuple[int, Entry, Closing], limits: Limits) -> Settled:
    """Take from the reservation what it cost, and book it in the windows of its own time."""
    lease, entry, closing = promise
    row, cost = _opened(owner, entry), closing.cost or 0
    db.execute(BOOK, (*row, *_ended(closing), *row[:4]))
    if not db.changes():
        return Settled(fresh=False)
    sums.booked(entry.at)
    sums.take(lease, cost)
    windows = sums.of(entry.scopes, entry.at)
    sums.move(windows, spent=cost)
    return Settled(True, tuple(s.standing() for s in windows), sums.passed(windows, limits(entry.at, entry.scopes)))


def release(db: Database, sums: Sums, lease: int, amount: int | None) -> bool:
    """Give back; without an amount, all, and forget it."""
    there = sums.take(lease, amount)
    if there and amount is None:
        sums.forget(lease)
        db.execute("DELETE FROM attempt WHERE id = ?", (lease,))
    return there


def amend(db: Database, sums: Sums, ask: str, closing: Closing, limits: Limits) -> Settled:
    """What was booked as uncertain is opened again, and then settled as if its process had lived."""
    row = db.execute(UNSURE, (ask,)).fetchone()
    if row is None:
        return Settled(fresh=False)
    id, state, held, cost, at, *who = row  # noqa: A001 - the column's name
    if state == STATES["uncertain"]:
        sums.move(sums.of(scopes(*who), at), spent=-cost, held=held)
        db.execute("UPDATE attempt SET state = 0, cost = NULL WHERE id = ?", (id,))
    return settle(db, sums, id, closing, limits)


def reclaim(db: Database, sums: Sums, owner: Owner) -> int:
    """Book what the dead held; a living owner's attempts are left alone."""
    reclaimed = 0
    for (other,) in db.execute("SELECT DISTINCT owner FROM attempt WHERE state = 0").fetchall():
        if other == owner.id or owner.lives(other):
            continue
        opened = db.execute("SELECT id, held FROM attempt WHERE state = 0 AND owner = ?", (other,)).fetchall()
        for id, held in opened:  # noqa: A001
            settle(db, sums, id, Closing("uncertain", held, "estimated"), _unlimited)
        reclaimed += len(opened)
        owner.bury(other)
    return reclaimed


def _opened(owner: str, entry: Entry) -> tuple[Any, ...]:
    who = entry.part_of, entry.caller, entry.task, entry.provider, entry.model, entry.asked, entry.servers
    what = entry.simulated, entry.held, entry.max_tokens, entry.prefix, entry.history
    return owner, entry.at, entry.ask, entry.number, *who, *what


def _ended(closing: Closing) -> tuple[Any, ...]:
    usage = closing.usage
    tokens = usage.input, usage.output, usage.cached_input, usage.cache_write, usage.reasoning
    told = STATES[closing.ending], closing.latency_s, closing.cost, closing.basis, closing.price
    return *told, closing.model_returned, closing.ok, closing.computed, *tokens


def _time(sums: Sums, at: float) -> float:
    """The time to book at. A clock set back by less than a day cannot reach yesterday's unspent money."""
    latest = sums.latest()
    return latest if 0 < latest - at < BACKWARDS_S else at


def _unlimited(at: float, names: Sequence[str]) -> Sequence[Limit]:
    del at, names
    return ()


def _standing(db: Database, window: Window) -> Standing | None:
    row = db.execute(STANDING, (window.scope, window.ends, window.starts)).fetchone()
    return Standing(window, *row) if row else None


def _count(db: Database, window: Window) -> Standing:
    """A window's first look: a budget set in mid-month still knows what the month has cost."""
    kind, _, key = window.scope.partition(":")
    matching = f"AND {COLUMNS[kind]} = ?3" if kind in COLUMNS else "AND ?3 = ''"
    query = f"""SELECT coalesce(sum(CASE state WHEN 0 THEN 0 ELSE cost END), 0),
      coalesce(sum(CASE state WHEN 0 THEN held ELSE 0 END), 0) FROM attempt WHERE at >= ?1 AND at < ?2 {matching}"""  # noqa: S608 - column names are ours
    (spent, held), *_ = db.execute(query, (window.starts, window.ends, key))
    return Standing(window, spent, held)


def _fit(db: Database, envelope: Envelope, amount: int) -> int:
    used = db.execute(USED, (envelope.id,)).get
    if 0 < amount > envelope.cap - used:
        raise OverBudget(f"call:{envelope.id}", envelope.cap - used)
    return used + amount
