"""The ledger on a server: the same promises as the SQLite one, kept by the functions of `schema.py`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from secrets import randbits
from typing import Any

from ..ledger import (
    STATES,
    Closing,
    Entry,
    Limit,
    Limits,
    OverBudget,
    Reserved,
    Settled,
    Standing,
    Window,
)
from ..pending import Pending
from .writer import Writer

LEASE_S = 60.0  # a replica not heard of for so long is dead: its open attempts are booked at what they held

RESERVE = "SELECT plenum.reserve($1, $2, $3::jsonb)"
SETTLE = "SELECT plenum.settle($1, $2::jsonb)"
AMEND = "SELECT plenum.amend($1, $2::jsonb)"
DRAW = "SELECT plenum.draw($1, $2, $3, $4::jsonb, $5::jsonb)"
RELEASE = "SELECT plenum.release($1, $2, $3)"
RECLAIM = "SELECT plenum.reclaim($1, $2)"
STANDING = """SELECT ARRAY[coalesce(b.spent, c.spent), coalesce(b.held, c.held)]
  FROM plenum.counted($1, $2, $3) c
  LEFT JOIN plenum.budget b ON b.scope = $1 AND b.starts = $2 AND b.ends = $3"""


class PostgresLedger:
    """`Ledger` shared by replicas. Ids are drawn here, so that a batch can be sent again."""

    def __init__(self, writer: Writer, owner: str) -> None:
        self._writer = writer
        self._owner = owner
        self._open: dict[int, tuple[float, tuple[str, ...]]] = {}
        self._doubtful: set[int] = set()
        self._turns = count(1)

    def reserve(self, entry: Entry, limits: Limits) -> Pending[Reserved]:
        """Hold in one step, or raise OverBudget."""
        self._release_doubtful(limits)
        outcome: Pending[Reserved] = Pending()
        self._reserve(entry, limits, outcome)
        return outcome

    def settle(self, reservation: int, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book once."""
        told = _thresholds(limits(*self._open.pop(reservation)) if reservation in self._open else ())
        return self._writer.submit(
            SETTLE, (reservation, _closed(closing, told)), lambda row: _settled(row, told), lasting=True
        )

    def amend(self, ask: str, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book what is known now. Whoever passes an alert by it is told with the next settlement."""
        del limits
        return self._writer.submit(AMEND, (ask, _closed(closing, ())), lambda row: _settled(row, ()), lasting=True)

    def draw(self, lease: int, entry: Entry, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book once: what is asked again, is asked under the same id."""
        told = _thresholds(limits(entry.at, entry.scopes))
        given = lease, _named(entry, self._owner), self._owner, json.dumps(_document(entry, ())), _closed(closing, told)
        return self._writer.submit(DRAW, given, lambda row: _settled(row, told), lasting=True)

    def release(self, lease: int, amount: int | None) -> Pending[bool]:
        """Give back."""
        return self._writer.submit(RELEASE, (lease, amount, next(self._turns)), bool, lasting=True)

    async def standings(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """Sums after all that was submitted before; windows nobody has opened yet are counted from the attempts."""
        asked = [self._writer.submit(STANDING, _window(limit), tuple[int, ...]) for limit in limits]
        return tuple([Standing(limit.window, *await row.wait()) for limit, row in zip(limits, asked, strict=True)])

    def reclaim(self) -> Pending[int]:
        """Book what replicas held that were not heard of for a minute; also says that this one lives."""
        return self._writer.submit(RECLAIM, (self._owner, LEASE_S), int)

    def _reserve(self, entry: Entry, limits: Limits, outcome: Pending[Reserved]) -> None:
        id, applied = randbits(62), limits(entry.at, entry.scopes)  # noqa: A001
        document = json.dumps(_document(entry, applied))
        pending = self._writer.submit(RESERVE, (id, self._owner, document), json.loads)
        pending.then(lambda row, error: self._reserved(id, entry, limits, outcome, row, error))

    def _reserved(
        self,
        id: int,  # noqa: A002
        entry: Entry,
        limits: Limits,
        outcome: Pending[Reserved],
        *answer: Any,
    ) -> None:
        row, error = answer
        if error is not None:
            self._doubtful.add(id)  # it may have been committed all the same
            outcome.resolve(None, error)
        elif "latest" in row:
            self._reserve(replace(entry, at=row["latest"]), limits, outcome)
        elif "over" in row:
            found = [x for x in limits(entry.at, entry.scopes) if x.window[::2] == (row["over"], row.get("ends"))]
            outcome.resolve(None, OverBudget(row["over"], row["room"], found[0] if found else None))
        else:
            self._open[id] = row.get("at", entry.at), entry.scopes
            used = tuple((name, amount) for name, amount in row["used"])
            outcome.resolve(Reserved(id, _standings(row["standings"]), used), None)

    def _release_doubtful(self, limits: Limits) -> None:
        doubtful, self._doubtful = self._doubtful, set()
        for id in doubtful:  # noqa: A001
            pending = self.settle(id, Closing("released", 0, "estimated"), limits)
            pending.then(lambda _, error, id=id: self._doubtful.add(id) if error else None)  # noqa: A006


def _named(entry: Entry, owner: str) -> int:
    """The id of an attempt that was not opened by one: 62 bits, the same however often it is asked for."""
    named = f"{owner} {entry.ask} {entry.number} {entry.at!r}".encode()
    return int.from_bytes(blake2b(named, digest_size=8).digest()) >> 2


def _thresholds(limits: Sequence[Limit]) -> list[tuple[Limit, int]]:
    return [(limit, amount) for limit in limits for amount in sorted(limit.alerts)]


def _document(entry: Entry, limits: Sequence[Limit]) -> dict[str, Any]:
    names = "at held ask number part_of caller task provider model asked servers simulated max_tokens prefix history"
    told = {name: getattr(entry, name) for name in (*names.split(), "extra")}
    windows = [[*_window(limit), limit.cap] for limit in limits]
    return told | {"windows": windows, "envelopes": [[one.id, one.cap] for one in entry.envelopes]}


def _closed(closing: Closing, told: Sequence[tuple[Limit, int]]) -> str:
    usage = closing.usage
    return json.dumps(
        {
            "state": STATES[closing.ending],
            "cost": closing.cost,
            "basis": closing.basis,
            "price": closing.price,
            "returned": closing.model_returned,
            "ok": closing.ok,
            "computed": closing.computed,
            "latency": closing.latency_s,
            "usage": [usage.input, usage.output, usage.cached_input, usage.cache_write, usage.reasoning],
            "alerts": [[*_window(limit), amount] for limit, amount in told],
        }
    )


def _window(limit: Limit) -> tuple[str, int, int]:
    return limit.window.scope, limit.window.starts, limit.window.ends


def _standings(rows: Sequence[Sequence[Any]]) -> tuple[Standing, ...]:
    return tuple(Standing(Window(scope, starts, ends), spent, held) for scope, starts, ends, spent, held in rows)


def _settled(row: str | None, told: Sequence[tuple[Limit, int]]) -> Settled:
    if row is None:
        return Settled(fresh=False)
    found = json.loads(row)
    highest: dict[Window, tuple[Limit, int, int]] = {}
    alerts: list[tuple[int, int]] = found["alerts"]
    for number, spent in alerts:  # rising amounts: the last of a window is the highest
        limit, amount = told[number]
        highest[limit.window] = (limit, amount, spent)
    return Settled(True, _standings(found["standings"]), tuple(highest.values()))
