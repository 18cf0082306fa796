"""A rate over aiolimiter's leaky bucket: told of what was used rather than asked for leave, on an injected clock.

Adds what the library lacks: a wait that can be foreseen, refunds, debt, and a first minute that is not a double one.
Its private level is used (hence the version bound in pyproject). `limits.py` above keeps the line.
"""

from collections.abc import Callable

from aiolimiter import AsyncLimiter

from .pace import Pace

_SLACK = 1e-9  # of a unit: rounding must not make one wait for nothing


class Meter(AsyncLimiter):
    """Units at a pace. More than the burst at once waits for an empty bucket and leaves debt."""

    __slots__ = ("_clock",)

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__(pace.burst, pace.burst / pace.per_s)
        self._last_check = clock()

    @property
    def level(self) -> float:
        """Units in the bucket; above the burst it is debt."""
        self._leak()
        return self._level

    @property
    def left(self) -> float:
        """Units that may be taken at once."""
        return max(0.0, self.max_rate - self.level)

    def delay(self, amount: float, ahead: float = 0.0) -> float:
        """Seconds until `amount` may be taken after `ahead` others; more than the burst waits for an empty bucket."""
        over = self.level + ahead + min(amount, self.max_rate) - self.max_rate
        return over / self._rate_per_sec if over > _SLACK else 0.0

    def adjust(self, delta: float) -> None:
        """Take (+), or give back (-)."""
        self._level = max(0.0, self.level + delta)

    def leave(self, remaining: float) -> None:
        """Believe somebody who knows better that only `remaining` units are left."""
        self._level = max(self.level, self.max_rate - remaining)

    def _leak(self) -> None:
        now = self._clock()
        if self._level:
            self._level = max(0.0, self._level - (now - self._last_check) * self._rate_per_sec)
        self._last_check = now
