"""A second attempt at another deployment when the first is late: rules, budget, and the race itself.

Off unless asked for. Helps heavy tails only, costs at most 5 % extra calls (guide fusion-and-routing §15).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from providers.errors import ProviderError

from .errors import BudgetExceeded
from .ports import CircuitOpen, QuotaWait
from .settings import HedgeSettings
from .signals import Traffic

T = TypeVar("T")
FAILURES = (ProviderError, QuotaWait, CircuitOpen, BudgetExceeded)  # how a call to one deployment may end badly


@dataclass(slots=True)
class Hedger:
    """Who may be hedged, and whether there is budget for it: each ask earns `extra` of a hedge, ten may be saved up."""

    settings: HedgeSettings
    traffic: Traffic
    budget: float = 0.0

    def earn(self) -> None:
        """An ask began."""
        self.budget = min(10.0, self.budget + self.settings.extra)

    def delay_s(self, name: str) -> float | None:
        """Seconds to wait for the first token before a second is asked: its own p95. None if it is not to be hedged."""
        spread = self.traffic.spread(name)
        if spread is None or spread.samples < self.settings.samples or spread.p99 <= self.settings.tail * spread.p50:
            return None
        return spread.p95

    def take(self) -> bool:
        """Spend one hedge, if there is one."""
        if self.budget < 1.0:
            return False
        self.budget -= 1.0
        return True


async def race(
    first: Callable[[Callable[[], None]], Awaitable[T]],
    second: Callable[[], Awaitable[T] | None],
    delay_s: float,
) -> T:
    """The first to succeed; the loser is cancelled and has ended when this returns.

    `first` calls what it is given at its first token: then, or before `delay_s`, there is no second. `second` returns
    None where it may not start. Where both fail the first's error is raised: the second noted its own.
    """
    won: list[T] = []
    lost: dict[int, Exception] = {}
    heard = anyio.Event()

    async def run(place: int, call: Awaitable[T]) -> None:
        try:
            won.append(await call)
        except FAILURES as error:
            lost[place] = error
        else:
            group.cancel_scope.cancel()
        heard.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run, 0, first(heard.set))
        with anyio.move_on_after(delay_s):
            await heard.wait()
        if not heard.is_set() and (call := second()) is not None:
            group.start_soon(run, 1, call)
    if won:
        return won[0]
    raise lost[0]
