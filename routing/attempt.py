"""One call to one deployment: money, a place, leave, the provider, each given back whatever happens.

Above: `manager.py` decides where and when. Here alone the order hold → slot → admit → open is known, and what an ending
means for each of them. Cancellation is an ending like the others: settled as unknown, no vote.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TypeVar

import anyio

from providers.errors import Billed, Malformed, ProviderError, TimedOut
from providers.types import Answer, Delta, Request, Stream, Usage

from .contract import check
from .events import AttemptEnded, AttemptStarted, Observer, Progressed, silent
from .itinerary import Hop
from .ports import Cascade, Cost, Gate, Guard, Held, Permit, Purse, Slot
from .signals import Traffic
from .trip import Trip
from .types import Attempt, Deployment

T = TypeVar("T")
SHARE = 0.5  # of the time left that a silent provider may use up while somebody else could still be asked
COARSE_S = 0.25  # how exactly silence is measured: moving a timer at every delta would cost more than the delta
OURS_S = 5.0  # silence shorter than this is our impatience, not the provider's fault: no vote


class Impatience(TimedOut):
    """Our own deadline was short: says nothing of the provider."""

    vote = "neutral"


@dataclass(slots=True)
class Live:
    """A call on its way. `error` may be set by whoever reads the stream: then that is how the call ended."""

    trip: Trip
    hop: Hop
    request: Request
    held: Held
    number: int
    started: float
    clock: Callable[[], float]
    slot: Slot | None = None
    permit: Permit | None = None
    stream: Stream | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ttft_s: float | None = None
    error: ProviderError | None = None
    sent: bool = False
    done: bool = False
    _read: Callable[[], Awaitable[Sequence[Delta]]] | None = None
    _touched: float = 0.0
    _patience: float = inf

    def wait(self) -> None:
        """Start measuring silence: while others could be asked, one may waste only a share of the time left."""
        now = self.clock()
        left = self.trip.deadline - now
        self._touched, self._patience = now, left if self.hop.alone else left * SHARE
        self.scope.deadline = anyio.current_time() + max(0.0, self._patience)

    def endless(self) -> None:
        """Stop measuring silence: from now on the reader's own time passes too."""
        self.scope.deadline = inf

    async def several(self) -> Sequence[Delta]:
        """The content that came together, none at the end. Raises ProviderError; what is no such error becomes one.

        Streams that read in pieces have a `several` of their own, which hands out signs of life too; others have one.
        """
        assert self.stream is not None, "opened"
        read = self._read = self._read or getattr(self.stream, "several", None) or partial(_one, aiter(self.stream))
        try:
            while came := await read():
                if content := [delta for delta in came if delta.kind != "alive"]:
                    self._touch()
                    return content
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider's code may come from anywhere: its bug is its failure
            raise Malformed(f"reading the answer failed ({type(error).__name__})") from None
        return ()

    @property
    def longest_s(self) -> float:
        """Seconds after which `several` ends by itself: providers that mind their silence know."""
        return float(getattr(self.stream, "longest_s", inf))

    def _touch(self) -> None:
        now = self.clock()
        if self.ttft_s is None:
            self.ttft_s = now - self.started
        if now - self._touched > COARSE_S and self.scope.deadline != inf:
            self._touched = now
            if not self.hop.alone:  # alone it has all the time there is, as from the start
                left = min(self._patience, self.trip.deadline - now)
                self.scope.deadline = anyio.current_time() + max(0.0, left)

    def mind_silence(self) -> None:
        """Raise what it means that our patience ended, if it did."""
        if self.scope.cancelled_caught:
            silence = self.clock() - self._touched
            kind = TimedOut if silence >= OURS_S else Impatience
            raise kind(f"no content for {silence:.1f} s", billed="yes" if self.ttft_s is not None else "unknown")

    @property
    def partial(self) -> Answer | None:
        """What there is of an answer."""
        return self.stream.answer if self.stream is not None else None


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls. `clock` is monotonic seconds."""

    purse: Purse
    gate: Gate
    guard: Guard
    traffic: Traffic
    observer: Observer
    clock: Callable[[], float]

    @asynccontextmanager
    async def call(self, trip: Trip, hop: Hop) -> AsyncGenerator[Live]:
        """Ask `hop.deployment`. Raises ProviderError, QuotaWait, CircuitOpen, BudgetExceeded; all is settled by then."""
        deployment = hop.deployment
        request = trip.request_for(hop, self.purse.room_usd(trip.ask, deployment))
        request = self.traffic.prefixes.hinted(request, trip.prefix, deployment.name)
        bill = trip.bill(hop, request)
        async with self.purse.hold(bill) as held:
            live = Live(trip, hop, request, held, bill.attempt, self.clock(), self.clock)
            try:
                async with (
                    self.gate.slot(deployment, trip.tokens(bill, request), trip.deadline) as live.slot,
                    self.guard.admit(deployment, force=hop.force, probe=not hop.hedge) as live.permit,
                ):
                    self._starts(live)
                    try:
                        live.wait()
                        with live.scope:
                            async with deployment.opener.open(request, deployment.model) as live.stream:
                                yield live
                        live.mind_silence()
                    except BaseException as error:
                        self._vote(live, live.error or error)
                        raise
                    finally:
                        self.traffic.left(deployment.name)
            except BaseException as error:
                self._abandon(live, live.error or error)
                raise
            if not live.done:
                self._abandon(live, None)

    async def whole(
        self, trip: Trip, hop: Hop, landed: Callable[[Live], Awaitable[T]], heard: Callable[[], None] | None = None
    ) -> T:
        """Ask and read to the end, telling as it grows. Raises as `call`, and where the contract is not met.

        `landed` makes of it what is returned, before anything is given back: nobody can cancel between paid and kept.
        """
        async with self.call(trip, hop) as live:
            while came := await live.several():
                if heard is not None:
                    heard()
                if trip.tell is not silent:
                    _tell(live, came)
            self.finish(live)
            return await landed(live)
        raise AssertionError("a call swallows nothing")

    async def agreed(self, trip: Trip, cascade: Cascade) -> Live | None:
        """What the plan's cheap ones agree on, asked once; None where they do not, or where there is no plan."""
        plan = trip.plan()
        return None if plan is None else await cascade.run(plan, trip.ask, partial(self.apart, trip))

    async def apart(self, trip: Trip, deployment: Deployment) -> Live:
        """A whole call beside the itinerary: paid and in the receipt, not yet an answer. Raises as `whole`."""

        async def as_it_is(live: Live) -> Live:
            return live

        return await self.whole(trip, Hop(deployment), as_it_is)

    def fail(self, live: Live, error: ProviderError) -> None:
        """A live stream broke after it was handed over: vote and settle now, while its reader is told."""
        self._vote(live, error)
        self._abandon(live, error)

    def finish(self, live: Live) -> None:
        """The stream has ended: hold the answer to its contract, then settle. Raises ProviderError."""
        stream, permit, slot = live.stream, live.permit, live.slot
        assert stream, "opened"
        assert permit, "admitted"
        assert slot, "placed"
        live.endless()
        answer = stream.answer
        if error := check(answer, live.trip.terms):
            live.error = error
            live.trip.broken = (answer, error)
            raise error
        latency, usage = self.clock() - live.started, answer.usage
        permit.succeeded(latency, live.ttft_s, usage.output)
        slot.settle(usage.input + usage.output, stream.headers)
        cost = live.held.settle(answer)
        live.done = True
        self.traffic.answered(live.hop.deployment.name, latency, live.ttft_s, usage.output)
        self.traffic.prefixes.answered(live.trip.prefix, live.hop.deployment.name)
        self._note(live, "ok", "", cost)

    def _starts(self, live: Live) -> None:
        deployment, trip = live.hop.deployment, live.trip
        live.started, live.sent = self.clock(), True
        self.traffic.started(deployment.name)
        self.observer(AttemptStarted(trip.id, deployment.provider, deployment.model, live.number))
        if trip.tell is not silent:
            trip.tell(Progressed(trip.id, f"asking {deployment.name}", draft=live.number))

    def _vote(self, live: Live, error: BaseException) -> None:
        if isinstance(error, ProviderError) and live.permit is not None and not live.done:
            live.permit.failed(error)

    def _abandon(self, live: Live, error: BaseException | None) -> None:
        if live.done:
            return
        live.done = True
        partial = live.partial
        cost = live.held.abandon(_billed(live, error), partial)
        if not live.sent:
            return
        if isinstance(error, ProviderError):
            if error.fault != "caller":
                self.traffic.failed(live.hop.deployment.name)
            self._note(live, error.kind, error.message, cost)
        else:
            self._note(live, "cancelled", "the call was left before it ended", cost)

    def _note(self, live: Live, outcome: str, reason: str, cost: Cost) -> None:
        deployment, partial = live.hop.deployment, live.partial
        attempt = Attempt(
            provider=deployment.provider,
            model=deployment.model,
            outcome=outcome,
            reason=reason,
            latency_s=self.clock() - live.started,
            cost_usd=cost.usd,
            cost_basis=cost.basis,
            usage=partial.usage if partial is not None else Usage(),
            hedge=live.hop.hedge,
        )
        live.trip.attempts.append(attempt)
        self.observer(AttemptEnded(live.trip.id, attempt))


async def _one(deltas: AsyncIterator[Delta]) -> Sequence[Delta]:
    async for delta in deltas:
        return (delta,)
    return ()


def _tell(live: Live, came: Sequence[Delta]) -> None:
    trip, message = live.trip, f"{live.hop.deployment.name} answers"
    for delta in came:
        if delta.kind == "text":
            trip.tell(Progressed(trip.id, message, delta.text, live.number))


def _billed(live: Live, error: BaseException | None) -> Billed:
    if not live.sent:
        return "unsent"
    if isinstance(error, ProviderError):
        return error.billed
    return "yes" if live.ttft_s is not None else "unknown"
