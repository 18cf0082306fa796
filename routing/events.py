"""What happens in routing, told as frozen values to one injected observer. Telemetry subscribes; nothing here exports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .errors import Refusal
from .types import Attempt, Receipt


@dataclass(frozen=True, slots=True)
class Decided:
    """Candidates were filtered, ranked and ordered."""

    id: str
    strategy: str
    order: tuple[str, ...]
    excluded: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A deployment is being asked."""

    id: str
    provider: str
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A deployment answered or failed."""

    id: str
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Answered:
    """An ask ended well; also for cached and replayed answers."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Failed:
    """An ask ended without an answer; `code` as in the contract, `message` and `hint` in our words."""

    id: str
    code: str
    receipt: Receipt | None
    message: str = ""
    hint: str = ""


def failed(id: str, refusal: Refusal) -> Failed:  # noqa: A002
    """The event of this refusal."""
    return Failed(id, refusal.code, refusal.receipt, refusal.message, refusal.hint)


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """A circuit breaker moved. `model` is set where it is that of one model alone."""

    endpoint: str
    provider: str
    state: Literal["closed", "half_open", "open"]
    reason: str
    for_s: float | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class CooledDown:
    """An endpoint is held back, or one `model` of it."""

    endpoint: str
    provider: str
    reason: str
    for_s: float
    model: str = ""


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """A budget passed a threshold (share 0..1), or was overrun (share above 1)."""

    scope: str
    period: str
    share: float
    spent_usd: float
    limit_usd: float


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The durable store could not do its work; `state` is one word (full, read_only, corrupt, busy, …)."""

    state: str
    what: str


@dataclass(frozen=True, slots=True)
class CacheLooked:
    """The response cache was asked."""

    kind: Literal["exact", "semantic", "joined", "replayed", "miss"]
    saved_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Fused:
    """A fuse ended."""

    id: str
    status: str
    agreement: float | None
    cost_usd: float
    members: int
    calls_saved: int
    usd_saved: float = 0.0


@dataclass(frozen=True, slots=True)
class ContextFetched:
    """An upstream was asked for context."""

    server: str
    ok: bool
    latency_s: float
    tokens: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Progressed:
    """Something worth telling the person who waits: a phase in plain words, or a piece of text.

    Text belongs to the draft of attempt number `draft`: a higher number starts anew, what came before it is void.
    """

    id: str
    message: str
    text: str = ""
    draft: int = 0


Event = (
    Decided
    | AttemptStarted
    | AttemptEnded
    | Answered
    | Failed
    | BreakerChanged
    | CooledDown
    | BudgetAlert
    | StoreFailed
    | CacheLooked
    | Fused
    | ContextFetched
    | Progressed
)
Observer = Callable[[Event], None]
Tell = Callable[[Progressed], None]


def unobserved(event: Event) -> None:
    """The observer of those who need none."""
    del event


def silent(progress: Progressed) -> None:
    """Tell nobody."""
    del progress
