"""What the manager needs of the rest of the house: one-method protocols, each with a null object.

Money, memory, limits and breakers land behind these without touching `manager.py` (design §8).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from providers.errors import Billed, ProviderError
from providers.types import Answer, ModelCard, Request

from .types import Ask, CascadePlan, CostBasis, Deployment, Resolution, Result


@dataclass(frozen=True, slots=True)
class Bill:
    """The worst case of one attempt: input tokens at a true upper bound, output tokens as sent."""

    id: str  # the receipt's id
    attempt: int
    ask: Ask
    deployment: Deployment
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt cost, and how we know."""

    usd: float | None
    basis: CostBasis


class Held(Protocol):
    """Money held for one attempt. Exactly one of the methods counts; leaving without any settles the worst case.

    They note it at once and wait for nothing: no cancellation can come between an ending and its booking.
    """

    def settle(self, answer: Answer) -> Cost:
        """Book what the answer (or what there is of it) cost: reported, else priced by the model returned."""
        ...

    def abandon(self, billed: Billed, answer: Answer | None) -> Cost:
        """Book a failed or cancelled attempt: nothing if `unsent` or `no`, what came if `yes`, else a fair guess."""
        ...


class Directory(Protocol):
    """Who exists: deployments as configured now, and what model names stand for."""

    def deployments(self) -> Sequence[Deployment]:
        """Every deployment, usable or not (see `Deployment.status`)."""
        ...

    def resolve(self, ask: Ask) -> Resolution:
        """What `ask.model` and `ask.task` stand for. Raises NoModel with the nearest names and a hint."""
        ...


class Purse(Protocol):
    """The cost tracker as the manager sees it."""

    def hold(self, bill: Bill) -> AbstractAsyncContextManager[Held]:
        """Reserve in one atomic step against every budget in scope. Raises BudgetExceeded."""
        ...

    def room_usd(self, ask: Ask, deployment: Deployment | None = None) -> float | None:
        """What could still be held for this ask here, USD, from memory (no I/O); None when nothing limits it.

        Without a deployment: at the one, whichever it is, that has the least.
        """
        ...

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]:  # noqa: A002
        """Inside, every ask with `part_of == id` (and what is booked under `id` itself) is paid from one sum, USD."""
        ...


class Recall(Protocol):
    """Replay, single flight and caches as the manager sees them."""

    def flight(self, ask: Ask) -> "AbstractAsyncContextManager[Flight]":
        """Enter before any work. Waits for a running twin. Raises InvalidRequest when a request_id meets other arguments."""
        ...


class Flight(Protocol):
    """One ask on its way. If `found` is set the work is done already: nothing is asked, nothing is paid."""

    @property
    def found(self) -> Result | None: ...

    @property
    def ask(self) -> Ask:
        """The ask as it shall be sent: with its thread, its context, its text made safe."""
        ...

    async def keep(self, result: Result) -> None:
        """Make the answer and its receipt durable, before anybody sees it; feed caches if it met the contract."""
        ...


class Slot(Protocol):
    """A place within an endpoint's limits."""

    def settle(self, tokens: int, headers: Mapping[str, str] | None = None) -> None:
        """Correct the reservation by true usage and by the provider's own rate-limit headers."""
        ...


class Gate(Protocol):
    """Rate limits: requests and tokens a minute, requests a day, concurrency, cooldowns."""

    def slot(self, deployment: Deployment, tokens: int, deadline: float) -> AbstractAsyncContextManager[Slot]:
        """Wait for a place until `deadline` (monotonic seconds). Raises QuotaWait at once when that cannot be met."""
        ...

    def wait_s(self, deployment: Deployment, tokens: int) -> float:
        """Seconds until a place would be free, 0 when now; no side effects."""
        ...


class QuotaWait(Exception):
    """There is no place before the deadline. `wait_s` seconds would do; `why` names the limit."""

    def __init__(self, wait_s: float, why: str) -> None:
        super().__init__(f"{why}: {wait_s:.1f} s")
        self.wait_s = wait_s
        self.why = why


class CircuitOpen(Exception):
    """The breaker admits nothing. `wait_s` seconds until it probes again."""

    def __init__(self, wait_s: float, why: str) -> None:
        super().__init__(f"{why}: {wait_s:.1f} s")
        self.wait_s = wait_s
        self.why = why


class Guard(Protocol):
    """Circuit breakers and cooldowns."""

    def admit(self, deployment: Deployment, *, force: bool, probe: bool) -> AbstractAsyncContextManager["Permit"]:
        """A permit for one call. Raises CircuitOpen, without `probe` also where it would be one. An error is no vote yet."""
        ...

    def blocked(self, deployment: Deployment, *, probe: bool = True) -> tuple[str, float] | None:
        """Why and for how many seconds it is held back, None if it is not; no side effects. Not `probe`: as in `admit`."""
        ...


class Permit(Protocol):
    """Leave to call once. Unreported (as when cancelled) it gives its place back and votes nothing."""

    def succeeded(self, latency_s: float, ttft_s: float | None, tokens: int) -> None: ...

    def failed(self, error: ProviderError) -> None: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How an admitted call ended: well, ill (then `error` says why), or cut short by its caller (`good` is None)."""

    good: bool | None
    latency_s: float
    ttft_s: float | None = None
    tokens: int = 0
    error: ProviderError | None = None


class Leases(Protocol):
    """Half-open probes counted over all replicas, asked only while a breaker probes."""

    async def take(self, name: str, limit: int, lease_s: float) -> str | float:
        """A lease to give back (it ends by itself after `lease_s`), or the seconds until one may be free."""
        ...

    async def give(self, name: str, lease: str) -> None:
        """Give a lease back."""
        ...


class Outcome(Protocol):
    """A whole answer that was paid for and is not yet given to anybody."""

    @property
    def partial(self) -> Answer | None: ...


Out = TypeVar("Out", bound=Outcome)


class Cascade(Protocol):
    """Carries out a ranking's plan before the ordinary journey begins."""

    async def run(self, plan: CascadePlan, ask: Ask, call: Callable[[Deployment], Awaitable[Out]]) -> Out | None:
        """The outcome that settles it, None to go on. `call` raises what a failed attempt raises; it is told already."""
        ...


class NoCascade:
    """Goes on at once: the strong one answers."""

    async def run(self, plan: CascadePlan, ask: Ask, call: Callable[[Deployment], Awaitable[Out]]) -> Out | None:
        """Settle nothing."""
        del plan, ask, call


class Watch(Protocol):
    """Somebody who learns from the calls a Guard lets through: the balancer, health."""

    def started(self, deployment: Deployment) -> None:
        """A call was admitted."""
        ...

    def ended(self, deployment: Deployment, ending: Ending) -> None:
        """It ended; told exactly once per `started`."""
        ...


class Balancer(Protocol):
    """Who of equals goes first."""

    def order(self, group: Sequence[Deployment]) -> Sequence[Deployment]:
        """The same deployments, the one whose turn it is first."""
        ...


class Measure(Protocol):
    """How many input tokens a request is, before anybody is asked."""

    def estimate(self, request: Request, card: ModelCard) -> int:
        """The likely number: for windows, prices and limits."""
        ...

    def bound(self, request: Request, card: ModelCard) -> int:
        """A number never below the true one: for money."""
        ...


class NoLeases:
    """One process alone."""

    async def take(self, name: str, limit: int, lease_s: float) -> str | float:
        """Nobody else probes."""
        del name, limit, lease_s
        return ""

    async def give(self, name: str, lease: str) -> None:
        """Nothing was taken."""
        del name, lease


class InOrder:
    """Keeps the order given."""

    def order(self, group: Sequence[Deployment]) -> Sequence[Deployment]:
        """As it came."""
        return group


class _Nothing:
    """Opens and closes nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *how: object) -> None:
        del how


class _Free(_Nothing):
    def settle(self, answer: Answer) -> Cost:
        return Cost(answer.usage.cost_usd, "reported" if answer.usage.cost_usd else "unpriced")

    def abandon(self, billed: Billed, answer: Answer | None) -> Cost:
        del billed, answer
        return Cost(0.0, "estimated")


class NoPurse:
    """No budgets, no ledger."""

    def hold(self, bill: Bill) -> AbstractAsyncContextManager[Held]:
        """Hold nothing."""
        del bill
        return _Free()

    def room_usd(self, ask: Ask, deployment: Deployment | None = None) -> float | None:
        """Nothing limits it."""
        del ask, deployment
        return None

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]:  # noqa: A002
        """Limits nothing."""
        del id, usd
        return nullcontext()


class _Empty(_Nothing):
    found: Result | None = None

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    async def keep(self, result: Result) -> None:
        del result


class NoRecall:
    """Remembers nothing."""

    def flight(self, ask: Ask) -> AbstractAsyncContextManager[Flight]:
        """Find nothing."""
        return _Empty(ask)


class _Place(_Nothing):
    def settle(self, tokens: int, headers: Mapping[str, str] | None = None) -> None:
        del tokens, headers


class NoGate:
    """No limits."""

    def slot(self, deployment: Deployment, tokens: int, deadline: float) -> AbstractAsyncContextManager[Slot]:
        """There is always a place."""
        del deployment, tokens, deadline
        return _Place()

    def wait_s(self, deployment: Deployment, tokens: int) -> float:
        """No wait."""
        del deployment, tokens
        return 0.0


class _Leave(_Nothing):
    def succeeded(self, latency_s: float, ttft_s: float | None, tokens: int) -> None:
        del latency_s, ttft_s, tokens

    def failed(self, error: ProviderError) -> None:
        del error


class NoGuard:
    """No breakers."""

    def admit(
        self, deployment: Deployment, *, force: bool = False, probe: bool = True
    ) -> AbstractAsyncContextManager[Permit]:
        """Admit everything."""
        del deployment, force, probe
        return _Leave()

    def blocked(self, deployment: Deployment, *, probe: bool = True) -> tuple[str, float] | None:
        """Nothing is held back."""
        del deployment, probe
