"""The cost tracker: every attempt is reserved before it is sent and settled after, against every budget it counts in.

Implements `Purse`. Beneath it a durable `Ledger` does the adding up; above it the manager only knows `hold`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from anyio import get_cancelled_exc_class

from providers.errors import Billed
from providers.types import Answer, Usage

from ..errors import BudgetExceeded, Next
from ..events import BudgetAlert, Observer, StoreFailed, unobserved
from ..ports import Bill, Cost, Held
from ..prefixes import prefix
from ..store.faults import StoreFault
from ..store.ledger import (
    Closing,
    Ending,
    Entry,
    Envelope,
    Ledger,
    Limit,
    OverBudget,
    Reserved,
    Settled,
    Standing,
    Window,
    scopes,
)
from ..store.pending import Pending
from ..types import NANO, Ask, Deployment
from .budgets import Plan, nano
from .pricing import Charge, Tariffs, charge, charge_broken

REMEMBERED = 4096  # asks whose sums are kept for `room_usd`


class Tracker:
    """The purse of one process over a ledger shared by all of them. `adopt` a new plan at any time."""

    def __init__(
        self,
        ledger: Ledger,
        tariffs: Tariffs,
        plan: Plan | None = None,
        *,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
        observer: Observer = unobserved,
    ) -> None:
        self.plan = plan or Plan()
        self.tariffs = tariffs
        self.clock = clock
        self.stopwatch = stopwatch
        self.unsettled: dict[int, Closing] = {}
        self._ledger = ledger
        self._observer = observer
        self._standings: dict[Window, Standing] = {}
        self._used: OrderedDict[str, int] = OrderedDict()
        self._envelopes: dict[str, int] = {}
        self._grants: dict[str, int] = {}

    async def adopt(self, plan: Plan) -> None:
        """Let these budgets hold from now on; what is spent stays spent. Raises StoreFault."""
        self.plan = plan
        self._learn(await self._ledger.standings(plan.all_limits(self.clock())))

    @contextmanager
    def envelope(self, id: str, usd: float | None) -> Generator[None]:  # noqa: A002
        """Pay all asks that are `part_of` this id from one sum, USD; None lifts nothing and limits nothing."""
        if usd is not None:
            self._envelopes[id] = nano(usd)
        try:
            yield
        finally:
            self._envelopes.pop(id, None)
            self._grants.pop(id, None)

    def allow(self, id: str, usd: float) -> None:  # noqa: A002
        """A person said yes: the ask (or tree) with this id may go over the budgets by this much, once."""
        self._grants[id] = nano(usd)
        if len(self._grants) > REMEMBERED:
            del self._grants[next(iter(self._grants))]

    def hold(self, bill: Bill) -> "Hold":
        """Entering reserves the worst case, or raises BudgetExceeded. Left unsettled, the worst case is booked."""
        return Hold(self, bill)

    def room_usd(self, ask: Ask, deployment: Deployment | None = None) -> float | None:
        """What memory says could still be held here; other processes may have taken some of it since."""
        caller, task = ask.caller, ask.task or ""
        if deployment is None:
            names = self.plan.scopes(caller, task)
        else:
            names = scopes(deployment.provider, deployment.model, caller, task)
        extra = self._extra(ask, ask.id)
        rooms = [limit.cap + extra - self._taken(limit) for limit in self.plan.limits(self.clock(), names)]
        rooms += [envelope.cap - self._used.get(envelope.id, 0) for envelope in self._caps(ask, ask.id)]
        return min(rooms) / NANO if rooms else None

    def settle(self, id: int, closing: Closing) -> None:  # noqa: A002
        """Queue a settlement: durable with, or before, whatever the store is asked to write next."""
        self._ledger.settle(id, closing, self.plan.limits).then(
            lambda settled, error: self._booked(id, closing, settled, error)
        )

    async def book(self, bill: Bill) -> None:
        """Reserve for work that outlives this process: `amend` says what came of it. Raises BudgetExceeded."""
        await self.reserve(bill, lasting=True)

    def amend(self, ask: str, closing: Closing) -> Pending[Settled]:
        """Say what became of the ask's attempt; what was booked for it as uncertain is corrected. Once."""
        return self._ledger.amend(ask, closing, self.plan.limits)

    async def reserve(self, bill: Bill, *, lasting: bool = False) -> tuple[int, int]:
        """Hold the worst case in every budget: the id that settles it, and the amount. Raises BudgetExceeded."""
        worst = self.tariffs.worst(bill)
        if worst is None and self.plan.unpriced == "refuse":
            raise _unpriced(bill)
        self._retry()
        entry = self._entry(bill, worst or 0, lasting=lasting)
        pending = self._ledger.reserve(entry, self.plan.limits)
        try:
            reserved = await pending.wait()
        except OverBudget as over:
            raise self._refusal(over, entry) from None
        except StoreFault as fault:
            self._observer(StoreFailed(fault.state, str(fault)))
            raise _unbookable(fault) from None
        except get_cancelled_exc_class():  # the writer commits it all the same: give it back then
            pending.then(self._give_back)
            raise
        self._learn(reserved.standings)
        self._remember(reserved.used)
        return reserved.id, entry.held

    def _caps(self, ask: Ask, id: str) -> tuple[Envelope, ...]:  # noqa: A002
        """The envelope of the ask booked under `id`, and that of the tree it is part of."""
        own = () if ask.max_cost_usd is None else (Envelope(id, nano(ask.max_cost_usd)),)
        tree = self._envelopes.get(ask.part_of) if ask.part_of is not None else None
        return own if tree is None else (*own, Envelope(ask.part_of or "", tree))

    def _extra(self, ask: Ask, id: str) -> int:  # noqa: A002
        return self._grants.get(id, 0) + (self._grants.get(ask.part_of, 0) if ask.part_of is not None else 0)

    def _entry(self, bill: Bill, amount: int, *, lasting: bool) -> Entry:
        ask = bill.ask
        return Entry(
            bill.id,
            bill.attempt,
            bill.deployment.provider,
            bill.deployment.model,
            ask.caller,
            ask.task or "",
            amount,
            self.clock(),
            part_of=ask.part_of,
            asked=ask.model,
            servers=" ".join(use.server for use in ask.context if use.resources),
            simulated=bill.deployment.simulated,
            max_tokens=bill.output_tokens,
            prefix=prefix(ask.request),
            history=ask.history,
            envelopes=self._caps(ask, bill.id),
            extra=self._extra(ask, bill.id),
            lasting=lasting,
        )

    def _give_back(self, reserved: Reserved | None, error: Exception | None) -> None:
        if reserved is not None and error is None:
            self.settle(reserved.id, Closing("released", 0, "estimated"))

    def _booked(self, id: int, closing: Closing, settled: Settled | None, error: Exception | None) -> None:  # noqa: A002
        if error is not None or settled is None:
            # The hold stands at the worst case, here and, should we die, for whoever reclaims it.
            self.unsettled[id] = closing
            if isinstance(error, StoreFault):
                self._observer(StoreFailed(error.state, str(error)))
            return
        self._learn(settled.standings)
        for limit, _, spent in settled.alerts:
            share = spent / limit.cap if limit.cap else float("inf")
            alert = BudgetAlert(limit.window.scope, limit.period, share, spent / NANO, limit.cap / NANO)
            self._observer(alert)

    def _retry(self) -> None:
        for id in list(self.unsettled):  # noqa: A001
            self.settle(id, self.unsettled.pop(id))

    def _learn(self, standings: Sequence[Standing]) -> None:
        for standing in standings:
            self._standings[standing.window] = standing
        if len(self._standings) > REMEMBERED:
            now = self.clock()
            self._standings = {window: s for window, s in self._standings.items() if window.ends > now}

    def _remember(self, used: Sequence[tuple[str, int]]) -> None:
        for id, amount in used:  # noqa: A001
            self._used[id] = amount
            self._used.move_to_end(id)
        while len(self._used) > REMEMBERED:
            self._used.popitem(last=False)

    def _taken(self, limit: Limit) -> int:
        standing = self._standings.get(limit.window)
        return standing.spent + standing.held if standing else 0

    def _refusal(self, over: OverBudget, entry: Entry) -> BudgetExceeded:
        need, room = entry.held / NANO, max(over.room, 0) / NANO
        edge = self.plan.at_edge if over.limit is not None else "cheaper"  # of the call's own cap nobody is asked
        return BudgetExceeded(
            f"This call may cost up to ${need:.4f} and {_name(over)} has ${room:.4f} left.",
            hint=_hint(over),
            after=max(over.limit.window.ends - entry.at, 0) if over.limit else None,
            next_call=Next("costs", {"period": "month"}),
            scope=over.scope,
            need_usd=need,
            room_usd=room,
            final=edge != "cheaper",
            may_ask=edge == "ask",
        )


class Hold:
    """Money held for one attempt, the context manager in one with it.

    The first of `settle`, `abandon`, `leave` counts, the others change nothing.
    """

    __slots__ = ("_amount", "_bill", "_cost", "_id", "_since", "_tracker")

    def __init__(self, tracker: Tracker, bill: Bill) -> None:
        self._tracker = tracker
        self._bill = bill
        self._id = self._amount = 0
        self._since = 0.0
        self._cost: Cost | None = None

    async def __aenter__(self) -> Held:
        self._id, self._amount = await self._tracker.reserve(self._bill)
        self._since = self._tracker.stopwatch()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def settle(self, answer: Answer) -> Cost:
        """Book what the answer cost."""
        return self._close("settled", charge(self._tracker.tariffs, self._bill, answer), answer, ok=True)

    def abandon(self, billed: Billed, answer: Answer | None) -> Cost:
        """Book what a failed attempt cost."""
        found = charge_broken(self._tracker.tariffs, self._bill, billed, answer)
        ending = "released" if billed in ("unsent", "no") else "settled"
        return self._close(ending, found, answer or Answer(), ok=None if billed == "unsent" else False)

    def leave(self) -> None:
        """Nobody said how it ended: it may have cost all that was held."""
        if self._cost is not None:
            return
        usage = Usage(input=self._bill.input_tokens, output=self._bill.output_tokens, estimated=True)
        amount = self._amount if self._bill.deployment.price else None
        worst = Charge(amount, "unpriced" if amount is None else "estimated", usage)
        self._close("uncertain", worst, Answer(), ok=None)

    def _close(self, ending: Ending, found: Charge, answer: Answer, *, ok: bool | None) -> Cost:
        if self._cost is None:
            self._cost = Cost(None if found.nano is None else found.nano / NANO, found.basis)
            seconds = max(self._tracker.stopwatch() - self._since, 0.0)
            told = found.nano, found.basis, found.usage, answer.model_returned, found.price
            self._tracker.settle(self._id, Closing(ending, *told, ok, seconds, found.computed))
        return self._cost


def _name(over: OverBudget) -> str:
    if over.limit is None:
        return "the call's own max_cost_usd"
    kind, _, name = over.scope.partition(":")
    whose = f"the {name} {kind}'s" if name else "the"
    length = {"day": "daily", "month": "monthly"}[over.limit.period]
    return f"{whose} {length} budget of ${over.limit.cap / NANO:g}"


def _hint(over: OverBudget) -> str:
    if over.limit is None:
        return "Raise max_cost_usd, lower max_tokens, or name a cheaper model."
    resets = datetime.fromtimestamp(over.limit.window.ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Lower max_tokens, name a cheaper or local model, raise the budget in [budget], or wait until {resets}."


def _unpriced(bill: Bill) -> BudgetExceeded:
    name = bill.deployment.name
    return BudgetExceeded(
        f'The price of {name} is not known, and [budget] unpriced = "refuse" allows no calls without one.',
        hint=f'Give {name} a price in the configuration, or set [budget] unpriced = "allow".',
    )


def _unbookable(fault: StoreFault) -> BudgetExceeded:
    return BudgetExceeded(f"Nothing may be spent that cannot be booked: {fault}.", hint=fault.hint)
