"""What a ledger promises: spent + held never pass a cap by a reservation, whoever else reserves at the same instant.

Money is integer nano-dollars; times are seconds since the epoch. Engines implement `Ledger`; `routing/costs` uses it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from providers.types import Usage

from ..types import CostBasis
from .faults import Declined
from .pending import Pending

Period = Literal["day", "month"]
Ending = Literal["settled", "released", "uncertain"]
STATES: dict[Ending, int] = {"settled": 1, "released": 2, "uncertain": 3}  # as stored; 0 is open


class Window(NamedTuple):
    """One stretch of one budget: `scope` is `global` or `provider:x`, `model:p/m`, `caller:x`, `task:x`."""

    scope: str
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget as configured here, now. `alerts` are amounts at which somebody is told once."""

    window: Window
    period: Period
    cap: int
    alerts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a window has come to, over all processes."""

    window: Window
    spent: int
    held: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """A cap over everything booked under one id: an ask's own attempts, or those of every ask that is part of it."""

    id: str
    cap: int


@lru_cache(maxsize=1024)
def scopes(provider: str, model: str, caller: str, task: str) -> tuple[str, ...]:
    """Every scope such an attempt counts in."""
    return "global", f"provider:{provider}", f"model:{provider}/{model}", f"caller:{caller}", f"task:{task}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An attempt about to be made."""

    ask: str
    number: int
    provider: str
    model: str
    caller: str
    task: str
    held: int
    at: float
    part_of: str | None = None
    asked: str = ""
    servers: str = ""
    simulated: bool = False
    max_tokens: int = 0
    prefix: str = ""  # digest of a long prompt's beginning: repeated ones are worth a provider's prompt cache
    history: int = 0  # messages recalled from a conversation
    envelopes: tuple[Envelope, ...] = ()
    extra: int = 0  # granted by a person, once, over every cap
    lasting: bool = False  # it outlives its process, and is amended by its ask

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope this attempt counts in."""
        return scopes(self.provider, self.model, self.caller, self.task)


@dataclass(frozen=True, slots=True)
class Closing:
    """How an attempt ended. `cost` is None where no price is known: shown as unpriced, never as nothing."""

    ending: Ending
    cost: int | None
    basis: CostBasis
    usage: Usage = Usage()
    model_returned: str = ""
    price: str = ""
    ok: bool | None = None  # None: it was never sent, or nobody knows
    latency_s: float | None = 0.0  # None: it says nothing of the model (a provider's batch)
    computed: int | None = None  # by the tariff, where the provider reported its own figure


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation: `id` settles it, `standings` are its windows, `used` what each of its envelopes has come to."""

    id: int
    standings: tuple[Standing, ...]
    used: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """`fresh` is False where it was closed before: nothing moved then. `alerts` are amounts passed just now."""

    fresh: bool
    standings: tuple[Standing, ...] = ()
    alerts: tuple[tuple[Limit, int, int], ...] = ()  # the limit, the amount passed, what is spent


class OverBudget(Declined):
    """A reservation that does not fit. `room` is what was left, below zero where more is spent than is allowed now."""

    def __init__(self, scope: str, room: int, limit: Limit | None = None) -> None:
        super().__init__(scope)
        self.scope = scope
        self.room = room
        self.limit = limit


Limits = Callable[[float, Sequence[str]], Sequence[Limit]]  # of which budgets apply at a time to these scopes: pure


class Ledger(Protocol):
    """Reserve, settle, look. Operations are durable in the order they were submitted, also with those of the archive."""

    def reserve(self, entry: Entry, limits: Limits) -> Pending[Reserved]:
        """Hold `entry.held` in every window and envelope, or raise OverBudget and hold nothing."""
        ...

    def settle(self, reservation: int, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book what it cost. Only an open reservation moves; a second settle changes nothing."""
        ...

    def amend(self, ask: str, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book what an ask's one attempt came to, whoever made it: an open one is settled, an uncertain one corrected."""
        ...

    def draw(self, lease: int, entry: Entry, closing: Closing, limits: Limits) -> Pending[Settled]:
        """Book an attempt that has ended, once, and take what it cost out of the reservation it was promised by."""
        ...

    def release(self, lease: int, amount: int | None) -> Pending[bool]:
        """Give back so much of what a reservation holds, or all (None): then it is as if it had never been.

        False where there was none.
        """
        ...

    async def standings(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """What these windows have come to, as last committed."""
        ...

    def reclaim(self) -> Pending[int]:
        """Book the open attempts of dead processes at what they held: their provider may have billed them."""
        ...
