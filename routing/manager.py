"""The life of one request: decide → call → contract → keep, and after a failure the next. Only here is the order known.

Above: tools, fusion, batch, the HTTP door. Below: one-method protocols (`ports.py`), each with a null object.
"""

import random as _random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio

from providers.errors import ProviderError, Truncated

from . import ports
from .attempt import Caller, Live
from .decision import Carbon, Chooser, no_carbon
from .envelope import ByteCount, least
from .errors import BudgetExceeded, DeadlinePassed, Refusal
from .events import Answered, Decided, Observer, Tell, failed, silent, unobserved
from .filters import Filters
from .hedging import FAILURES, Hedger, race
from .itinerary import Hop, Itinerary, RetryTokens, Stop
from .prepared import Step, as_it_is
from .settings import RoutingSettings
from .signals import Traffic
from .streamed import ReceiptedStream, Remembered
from .trip import Trip
from .types import Ask, Receipt, Result
from .verdict import refusal

GRACE_S = 0.25  # attempts end by their own clock first, so that they can say why
T = TypeVar("T")


def new_id() -> str:
    """64 random bits: receipts are looked up by it."""
    return secrets.token_hex(8)


class ProviderManager:
    """Every provider behind three verbs. Raises only `Refusal`s, each with the receipt so far, and cancellation."""

    def __init__(
        self,
        directory: ports.Directory,
        *,
        settings: RoutingSettings | None = None,
        purse: ports.Purse | None = None,
        recall: ports.Recall | None = None,
        foresee: Step = as_it_is,
        gate: ports.Gate | None = None,
        guard: ports.Guard | None = None,
        balancer: ports.Balancer | None = None,
        measure: ports.Measure | None = None,
        carbon: Carbon = no_carbon,
        cascade: ports.Cascade | None = None,
        observer: Observer = unobserved,
        traffic: Traffic | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: _random.Random | None = None,
        ids: Callable[[], str] = new_id,
    ) -> None:
        self.settings = settings or RoutingSettings()
        self.traffic = traffic or Traffic(clock)
        purse, gate, guard = purse or ports.NoPurse(), gate or ports.NoGate(), guard or ports.NoGuard()
        filters = Filters(self.settings, purse, gate, guard)
        measure, balancer = measure or ByteCount(), balancer or ports.InOrder()
        self._chooser = Chooser(directory, self.settings, filters, self.traffic, measure, balancer, carbon)
        self._caller = Caller(purse, gate, guard, self.traffic, observer, clock)
        self._recall, self._foresee = recall or ports.NoRecall(), foresee
        self._carbon, self._observer, self._cascade = carbon, observer, cascade or ports.NoCascade()
        self._clock, self._wall, self._ids = clock, wall, ids
        self._draw = (random or _random.Random()).random  # noqa: S311 - jitter, no secret
        self._tokens, self._hedger = RetryTokens(self.settings.retry), Hedger(self.settings.hedge, self.traffic)

    async def generate(self, ask: Ask, tell: Tell = silent) -> Result:
        """A whole answer that meets the ask's contract; broken ones are replaced before anybody sees them."""
        with self._trip(ask, tell) as trip:
            with anyio.move_on_after(trip.deadline - self._clock() + GRACE_S):
                async with self._recall.flight(trip.ask) as flight:
                    trip.ask = flight.ask
                    result = flight.found or await self._travel(trip, partial(self._whole, flight))
                self._observer(Answered(result.receipt))
                return result
            raise TimeoutError

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncGenerator[ReceiptedStream | Remembered]:
        """A live answer: entering returns at the first token; after that there is no restart."""
        with self._trip(ask, silent) as trip:
            async with self._recall.flight(trip.ask) as flight, AsyncExitStack() as stack:
                trip.ask = flight.ask
                found = flight.found or await self._travel(trip, partial(self._hand_over, stack, flight))
                if isinstance(found, Result):
                    self._observer(Answered(found.receipt))
                    found = Remembered(found)
                yield found

    async def explain(self, ask: Ask) -> Receipt:
        """Decide and price, call nobody. Raises as `generate` where nobody may serve."""
        with self._trip(ask, silent, asked=False) as trip:
            trip.ask = await self._foresee(trip.ask)
            trip.decision = self._chooser.decide(trip.ask, trip.left(self._clock()), 0.0, ports.InOrder())
            if not trip.decision.order:
                raise refusal((), Stop("exhausted"), trip.receipt(self._clock()), trip.decision.held)
            return trip.explanation(self._clock(), self._carbon)

    @contextmanager
    def _trip(self, ask: Ask, tell: Tell, *, asked: bool = True) -> Generator[Trip]:
        """The record of this ask; whatever refusal leaves the block carries the receipt and, where it was `asked`, is told."""
        now = self._clock()
        asked_s = least((ask.deadline_s, ask.max_latency_s))
        patience = self.settings.deadline_s if asked_s is None else asked_s
        ask = ask if ask.id else replace(ask, id=self._ids())
        trip = Trip(ask.id, ask, tell, now, now + patience, self._wall(), asked=asked)
        try:
            trip.agree()
            yield trip
        except TimeoutError:
            passed = DeadlinePassed(f"no answer within {patience:g} s", hint="raise max_latency_s or deadline_s")
            raise self._told(trip, passed) from None
        except Refusal as error:
            raise self._told(trip, error) from None

    def _told(self, trip: Trip, error: Refusal) -> Refusal:
        error.receipt = trip.receipt(self._clock())
        if trip.asked:
            self._observer(failed(trip.id, error))
        return error

    async def _travel(self, trip: Trip, attempt: Callable[[Trip, Itinerary, Hop], Awaitable[T]]) -> T:
        """Walk the itinerary until an attempt lands."""
        route = self._route(trip)
        hop = self._first(route)
        while isinstance(hop, Hop):
            if hop.delay_s:
                await anyio.sleep(hop.delay_s)
            route.started(hop)
            try:
                landed = await attempt(trip, route, hop)
            except FAILURES as error:
                self._learn(trip, route, hop, error)
                hop = route.next(self._clock())
            else:
                route.succeeded(hop)
                return landed
        assert trip.decision is not None, "decided"
        raise trip.poor or refusal(trip.errors, hop, trip.receipt(self._clock()), trip.decision.held)

    def _route(self, trip: Trip) -> Itinerary:
        now = self._clock()
        self._hedger.earn()
        trip.decision = found = self._chooser.decide(trip.ask, trip.left(now), trip.spent_usd)
        self._observer(Decided(trip.id, found.strategy, found.listed, len(found.excluded), found.reasoning))
        return Itinerary(
            found.order,
            [(e.deployment, now + (e.returns_s or 0.0)) for e in found.held],
            deadline=trip.deadline,
            tokens=self._tokens,
            draw=self._draw,
            ttft_s=self.traffic.ttft_s,
            # a caller in a hurry still deserves a second provider: a quarter of his time is a fair chance
            least_s=min(self.settings.retry.least_s, trip.left(now) / 4),
        )

    def _first(self, route: Itinerary) -> Hop | Stop:
        """Panic rule (guide §4.3): all are held back beyond the deadline, so one may be probed; the guard says how often."""
        hop = route.next(self._clock())
        return hop if isinstance(hop, Hop) or hop.why != "wait" else route.forced() or hop

    def _learn(self, trip: Trip, route: Itinerary, hop: Hop, error: Exception) -> None:
        now = self._clock()
        if isinstance(error, ProviderError):
            trip.errors.append(error)
            route.failed(hop, error, now)
            return
        if isinstance(error, BudgetExceeded):
            trip.poor = error
            if error.final:
                raise error
            route.dropped(hop)
        else:
            route.turned_away(hop, getattr(error, "wait_s", 0.0), now)
        trip.turned(hop.deployment, error)

    async def _whole(self, flight: ports.Flight, trip: Trip, route: Itinerary, hop: Hop) -> Result:
        """One attempt to its end, with a hedge beside it where that is asked for, allowed and affordable."""
        landed = partial(self._arrive, trip, flight)
        if agreed := await self._caller.agreed(trip, self._cascade):
            return await landed(agreed)
        delay = self._hedger.delay_s(hop.deployment.name) if trip.ask.hedge else None
        if delay is None:
            return await self._caller.whole(trip, hop, landed)

        async def beside(spare: Hop) -> Result:
            route.started(spare)
            try:
                return await self._caller.whole(trip, spare, landed)
            except FAILURES as error:
                self._learn(trip, route, spare, error)
                raise

        def second() -> Awaitable[Result] | None:
            spare = route.spare(self._clock(), hop.deployment, self._caller.guard)
            return beside(spare) if spare and self._hedger.take() else None

        return await race(partial(self._caller.whole, trip, hop, landed), second, delay)

    async def _hand_over(
        self, stack: AsyncExitStack, flight: ports.Flight, trip: Trip, route: Itinerary, hop: Hop
    ) -> ReceiptedStream | Result:
        """One attempt to its first token, from where it lives on the caller's stack; or whole what cheap ones agree on."""
        del route
        if agreed := await self._caller.agreed(trip, self._cascade):
            return await self._arrive(trip, flight, agreed)
        trip.terms = replace(trip.terms, allow_truncated=True)  # what was shown cannot be replaced, only marked
        async with AsyncExitStack() as own:
            live = await own.enter_async_context(self._caller.call(trip, hop))
            if not (first := await live.several()):
                self._caller.finish(live)  # an end without content meets no contract: this raises
                raise Truncated("the answer ended before it began")
            live.endless()
            stack.push_async_exit(own.pop_all())
        return ReceiptedStream(live, first, partial(self._end, trip, flight, live))

    async def _arrive(self, trip: Trip, flight: ports.Flight, live: Live) -> Result:
        result = trip.result(self._clock(), live, self._carbon)
        with anyio.CancelScope(shield=True):  # it is paid for: durable before anybody sees it, whoever left meanwhile
            await flight.keep(result)
        return result

    async def _end(self, trip: Trip, flight: ports.Flight, live: Live, error: ProviderError | None) -> Result:
        """A live stream ended: settled and kept, or told as it is."""
        try:
            if error is not None:
                raise error
            self._caller.finish(live)
        except ProviderError as broken:
            self._caller.fail(live, broken)
            trip.errors.append(broken)
            raise refusal(trip.errors[-1:], Stop("exhausted"), trip.receipt(self._clock()), ()) from None
        result = await self._arrive(trip, flight, live)
        self._observer(Answered(result.receipt))
        return result
