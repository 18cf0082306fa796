"""Leases: money held for calls to come, so that a call which others like it preceded waits for no commit.

A reservation is durable before anything is sent: a commit, and on a server a round trip, before every call. Where calls of
one deployment, caller and task follow each other, one more reservation is made beside them, for many: the lease. Later calls
are promised their worst case out of it in memory, and what they cost is taken out of it as they are booked. So spent + held
pass no cap, as ever, and what is sent is durably held, if not by name: of a process that dies, what its leases still hold is
booked as uncertain.

What a lease keeps from others is bounded: it is a twentieth of what the tightest budget has left at most, so it melts as an
edge comes near and there is none at it, and what nobody needed for a second is given back. Calls with a cap of their own,
with a person's word to go over one, or whose outcome another process may learn, reserve by themselves.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from uuid import uuid4

from anyio import CancelScope

from ..store.faults import StoreFault
from ..store.ledger import Closing, Entry, Ledger, Limit, Limits, OverBudget, Reserved, Settled, Standing, Window
from ..store.pending import Pending

FOLLOWS_S = 1.0  # a call that comes within this of one like it is followed by more, perhaps
LOOK_S = 1.0  # what nobody needed for so long is given back
FEWEST, MOST = 4, 1024  # calls a lease is for: twice as many each time one does not do
SHARE = 20  # a lease is at most this part of what is left
MANY = 1024  # kinds of calls that are remembered


@dataclass(slots=True)
class Lease:
    """A reservation that calls are promised money out of. Amounts in nano-dollars."""

    id: int
    names: tuple[str, ...]  # the scopes it counts in
    at: float  # when it was held, seconds since the epoch
    limits: Sequence[Limit]  # the budgets it was held in; it is worth nothing under others, or in their next window
    amount: int
    left: int  # that no call was promised
    least: int  # the lowest that `left` has been since the last look
    calls: int = 0  # that were promised something and are not booked
    used: bool = True  # since the last look


@dataclass(slots=True)
class Demand:
    """Calls that count in the same scopes: when the last one came, and what they are paid out of."""

    at: float
    calls: int = FEWEST  # that the next lease is for
    coming: Pending[Reserved] | None = None
    leases: list[Lease] = field(default_factory=list[Lease])
    standings: Sequence[Standing] = ()  # of their budgets, as last told

    def covering(self, amount: int, limits: Sequence[Limit]) -> Lease | None:
        """The newest lease with that much left."""
        for lease in reversed(self.leases):
            if lease.left >= amount and lease.limits == limits:
                return lease
        return None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a call was promised, and by whom."""

    entry: Entry
    lease: Lease
    demand: Demand


class Leases:
    """A `Ledger` over another. Belongs to one event loop; `clock` is monotonic seconds, it looks every `look_s` of the loop's."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic, look_s: float = LOOK_S) -> None:
        self._ledger = ledger
        self._clock = clock
        self._look_s = look_s
        self._demands: dict[tuple[str, ...], Demand] = {}
        self._leases: list[Lease] = []  # all of them
        self._promised: dict[int, Promise] = {}
        self._numbers = count(-1, -1)  # an engine's are positive
        self._look_due: asyncio.TimerHandle | None = None
        self._closed = False
        self.draw, self.release = ledger.draw, ledger.release
        self.amend, self.reclaim = ledger.amend, ledger.reclaim

    def reserve(self, entry: Entry, limits: Limits) -> Pending[Reserved]:
        """Promise it out of a lease; else hold it, and a lease beside it if it follows one like it."""
        if entry.envelopes or entry.extra or entry.lasting:
            return self._hold(entry, limits)
        demand, now = self._demand(entry.scopes), self._clock()
        follows, demand.at = now - demand.at < FOLLOWS_S, now
        lease = demand.covering(entry.held, limits(entry.at, entry.scopes))
        if lease is not None:
            return self._promise(Promise(entry, lease, demand), limits)
        pending = self._hold(entry, limits)
        if follows:
            pending.then(lambda reserved, _: self._after(demand, entry, limits, reserved))
        return pending

    def settle(self, reservation: int, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book what it cost, out of its lease if it was promised."""
        promise = self._promised.get(reservation)
        if promise is None:
            return self._ledger.settle(reservation, closing, limits)
        pending = self._ledger.draw(promise.lease.id, promise.entry, closing, limits)
        pending.then(lambda settled, _: self._booked(reservation, closing, settled))
        return pending

    async def standings(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """As last committed, without what our leases hold and no call was promised."""
        found = await self._ledger.standings(limits)
        return tuple(replace(standing, held=max(standing.held - self._free(standing.window), 0)) for standing in found)

    async def aclose(self) -> None:
        """Give back what no call was promised. Promises that are still out stay held, for whoever reclaims them."""
        self._closed = True
        if self._look_due is not None:
            self._look_due.cancel()
        coming = [demand.coming for demand in self._demands.values() if demand.coming is not None]
        for pending in (*coming, *[self._ledger.release(lease.id, 0) for lease in self._leases]):
            with suppress(OverBudget, StoreFault):  # then there is nothing to give back
                await pending.wait()  # and whatever was asked before it
        for lease in self._leases:
            self._shrink(lease, lease.left, gone=not lease.calls)

    def _free(self, window: Window) -> int:
        inside = [x for x in self._leases if window.scope in x.names and window.starts <= x.at < window.ends]
        return sum(lease.left for lease in inside)

    def _demand(self, names: tuple[str, ...]) -> Demand:
        demand = self._demands.get(names)
        if demand is None:
            if len(self._demands) >= MANY:
                self._demands = {key: known for key, known in self._demands.items() if known.leases or known.coming}
            demand = self._demands[names] = Demand(-FOLLOWS_S)
        return demand

    def _hold(self, entry: Entry, limits: Limits) -> Pending[Reserved]:
        """By itself. What is refused while leases have something left, is asked once more without them."""
        if not any(lease.left > 0 for lease in self._leases):
            return self._ledger.reserve(entry, limits)
        outcome: Pending[Reserved] = Pending()

        def _told(reserved: Reserved | None, error: Exception | None) -> None:
            if isinstance(error, OverBudget) and error.limit is not None:
                for lease in self._leases:
                    self._shrink(lease, lease.left)
                self._ledger.reserve(entry, limits).then(outcome.resolve)
            else:
                outcome.resolve(reserved, error)

        self._ledger.reserve(entry, limits).then(_told)
        return outcome

    def _promise(self, promise: Promise, limits: Limits) -> Pending[Reserved]:
        lease, number = promise.lease, next(self._numbers)
        self._promised[number] = promise
        lease.calls, lease.used = lease.calls + 1, True
        lease.left -= promise.entry.held
        lease.least = min(lease.least, lease.left)
        if lease.left * 4 < lease.amount:
            self._take(promise.demand, promise.entry, limits)
        pending: Pending[Reserved] = Pending()
        pending.resolve(Reserved(number, ()), None)
        return pending

    def _after(self, demand: Demand, entry: Entry, limits: Limits, reserved: Reserved | None) -> None:
        if reserved is not None:
            demand.standings = reserved.standings
            self._take(demand, entry, limits)

    def _take(self, demand: Demand, entry: Entry, limits: Limits) -> None:
        """Have a lease made for calls like this one, unless one is coming or there is too little for one."""
        applied = limits(entry.at, entry.scopes)
        amount = min(entry.held * demand.calls, _room(applied, demand.standings) // SHARE)
        if self._closed or demand.coming is not None or amount < 2 * entry.held:
            return
        told = {"asked": "", "servers": "", "max_tokens": 0, "prefix": "", "history": 0, "part_of": None}
        many = replace(entry, ask=f"lease-{uuid4().hex}", number=0, held=amount, **told)
        demand.coming = self._ledger.reserve(many, limits)
        demand.coming.then(partial(self._taken, demand, many, applied))

    def _taken(
        self, demand: Demand, many: Entry, limits: Sequence[Limit], reserved: Reserved | None, error: Exception | None
    ) -> None:
        del error  # there is no lease then: calls go on by themselves
        demand.coming = None
        if reserved is None:
            demand.calls = FEWEST
            return
        lease = Lease(reserved.id, many.scopes, many.at, limits, many.held, many.held, many.held)
        held_in = {standing.window for standing in reserved.standings}
        if self._closed or not all(limit.window in held_in for limit in limits):  # the clock was behind the ledger
            self._shrink(lease, lease.left, gone=True)
            return
        demand.leases.append(lease)
        self._leases.append(lease)
        demand.calls = min(2 * demand.calls, MOST)
        if self._look_due is None:
            self._look_due = asyncio.get_running_loop().call_later(self._look_s, self._look)

    def _booked(self, reservation: int, closing: Closing, settled: Settled | None) -> None:
        if settled is None or (promise := self._promised.pop(reservation, None)) is None:
            return  # what could not be booked stays promised, and is booked again
        cost, lease = closing.cost or 0, promise.lease
        lease.calls -= 1
        lease.left += promise.entry.held - cost
        lease.amount -= cost
        if settled.standings:
            promise.demand.standings = settled.standings
            share = max(_room(lease.limits, settled.standings), 0) // SHARE
            if lease.left > 2 * share:  # much has been spent since
                self._shrink(lease, lease.left - share)

    def _look(self) -> None:
        for demand in self._demands.values():
            for lease in tuple(demand.leases):
                if not lease.used and not lease.calls:
                    demand.leases.remove(lease)
                    self._leases.remove(lease)
                    self._shrink(lease, lease.left, gone=True)
                elif lease.least * 2 > lease.amount:
                    demand.calls = max(demand.calls // 2, FEWEST)
                    self._shrink(lease, lease.least // 2)
                lease.used, lease.least = False, lease.left
        again = asyncio.get_running_loop().call_later
        self._look_due = again(self._look_s, self._look) if self._leases else None

    def _shrink(self, lease: Lease, amount: int, *, gone: bool = False) -> None:
        if gone or amount > 0:
            lease.left -= amount
            lease.amount -= amount
            lease.least = min(lease.least, lease.left)
            self._ledger.release(lease.id, None if gone else amount)


@asynccontextmanager
async def leased(
    ledger: Ledger, *, clock: Callable[[], float] = time.monotonic, look_s: float = LOOK_S
) -> AsyncGenerator[Leases]:
    """Leases over a ledger; what they hold is given back at the end."""
    leases = Leases(ledger, clock=clock, look_s=look_s)
    try:
        yield leases
    finally:
        with CancelScope(shield=True):
            await leases.aclose()


def _room(limits: Sequence[Limit], standings: Sequence[Standing]) -> int:
    """What is left under the tightest of these, nano-dollars; nothing where that is not known."""
    known = {standing.window: standing for standing in standings}
    rooms = [limit.cap - s.spent - s.held if (s := known.get(limit.window)) else 0 for limit in limits]
    return min(rooms, default=1 << 62)
