"""What traffic teaches about deployments: latency, first token, speed, success. In memory, per process, never asked for.

Moving averages by `Deployment.name`. The balancer and strategies read the mappings; only attempts write.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .prefixes import Prefixes

BLEND = 0.2  # weight of the newest sample: about the last ten calls count
BLAME = 0.1  # the same for success: one failure alone puts a deployment behind its equals for about 40 s
FORGIVE_S = 60.0  # a bad success rate fades at this time constant, else nobody would ever come back
WINDOW = 256  # first-token times kept for percentiles


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of the time to first token, seconds, over the last `samples` calls."""

    samples: int
    p50: float
    p95: float
    p99: float


@dataclass(slots=True)
class Traffic:
    """The learner. `clock` is monotonic seconds."""

    clock: Callable[[], float]
    latency_s: dict[str, float] = field(default_factory=dict[str, float])
    ttft_s: dict[str, float] = field(default_factory=dict[str, float])
    tokens_per_s: dict[str, float] = field(default_factory=dict[str, float])
    success: dict[str, float] = field(default_factory=dict[str, float])
    outstanding: dict[str, int] = field(default_factory=dict[str, int])
    prefixes: Prefixes = field(init=False)
    _windows: dict[str, deque[float]] = field(default_factory=dict[str, "deque[float]"])
    _weak: dict[str, float] = field(
        default_factory=dict[str, float]
    )  # name → when its success was last brought up to date

    def __post_init__(self) -> None:
        """Prefixes go by the same clock."""
        self.prefixes = Prefixes(self.clock)

    def started(self, name: str) -> None:
        """A call is on its way."""
        self.outstanding[name] = self.outstanding.get(name, 0) + 1

    def left(self, name: str) -> None:
        """It is over, well or not."""
        self.outstanding[name] = max(0, self.outstanding.get(name, 0) - 1)

    def answered(self, name: str, latency_s: float, ttft_s: float | None, tokens: int) -> None:
        """It gave a whole answer of `tokens` output tokens."""
        _blend(self.latency_s, name, latency_s)
        if ttft_s is not None:
            _blend(self.ttft_s, name, ttft_s)
            if (window := self._windows.get(name)) is None:
                window = self._windows[name] = deque(maxlen=WINDOW)
            window.append(ttft_s)
            if latency_s > ttft_s and tokens:
                _blend(self.tokens_per_s, name, tokens / (latency_s - ttft_s))
        self._score(name, 1.0)

    def failed(self, name: str) -> None:
        """It failed in a way that is not the caller's fault."""
        self._score(name, 0.0)

    def spread(self, name: str) -> Spread | None:
        """Percentiles of the first token; None before the first answer."""
        window = self._windows.get(name)
        if not window:
            return None
        ordered = sorted(window)
        return Spread(len(ordered), *(ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99)))

    def trusted(self) -> Mapping[str, float]:
        """Success rates as of now, old failures forgiven; who is not in it is as good as new."""
        self._forgive()
        return {name: self.success[name] for name in self._weak}

    def _score(self, name: str, result: float) -> None:
        self._forgive()
        now = self.success.get(name, 1.0) * (1 - BLAME) + result * BLAME
        self.success[name] = now
        if now < 0.999:
            self._weak[name] = self.clock()
        else:
            self._weak.pop(name, None)

    def _forgive(self) -> None:
        if not self._weak:
            return
        now = self.clock()
        for name, since in list(self._weak.items()):
            lack = (1 - self.success[name]) * math.exp((since - now) / FORGIVE_S)
            self.success[name] = 1 - lack
            self._weak[name] = now
            if lack < 0.001:
                del self._weak[name]


def _blend(averages: dict[str, float], name: str, sample: float) -> None:
    before = averages.get(name)
    averages[name] = sample if before is None else before + BLEND * (sample - before)
