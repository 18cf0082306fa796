"""Who of equals goes first: smooth weighted round robin that leaves the slow and the busy.

The effective weight is weight / (latency relative to the best of the group * (outstanding + 1)), where outstanding
counts only what a deployment carries beyond its fair share: weights that differ would otherwise be bent by the very
calls they attract. A guard tells it of starts and ends (`ports.Watch`). Pure: the clock is injected.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ports import Ending
from .types import Deployment


@dataclass(frozen=True, slots=True)
class BalancerSettings:
    """How it learns. A new latency counts for `gain` of the estimate; unused, one forgets in about `forget_s` seconds.

    Silence longer than `patience` usual latencies, with calls outstanding, counts as slowness already.
    `groups`: how many different groups are remembered, the least recent dropped first.
    """

    gain: float = 0.3
    forget_s: float = 30.0
    groups: int = 1024
    patience: float = 3.0


@dataclass(slots=True)
class _Load:
    outstanding: int = 0
    latency_s: float | None = None
    at: float = 0.0  # of the last sample
    quiet_since: float = 0.0  # last end, or the start after which nothing ended


class RoundRobin:
    """The Balancer of `ports.py`. Shares follow `Deployment.weight` as long as latencies are alike."""

    def __init__(
        self, settings: BalancerSettings | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings or BalancerSettings()
        self._clock = clock
        self._loads: dict[str, _Load] = {}
        self._credits: OrderedDict[tuple[str, ...], dict[str, float]] = OrderedDict()

    def order(self, group: Sequence[Deployment]) -> Sequence[Deployment]:
        """The same deployments, the one whose turn it is first, the others by how near their turn is."""
        if len(group) < 2:
            return group
        weights = self._effective(group)
        owed = self._owed(tuple(deployment.name for deployment in group))
        for deployment, weight in zip(group, weights, strict=True):
            owed[deployment.name] += weight
        ordered = sorted(group, key=lambda deployment: -owed[deployment.name])
        owed[ordered[0].name] -= sum(weights)
        return ordered

    def started(self, deployment: Deployment) -> None:
        """One more on its way there."""
        load = self._load(deployment.name)
        load.outstanding += 1
        if load.outstanding == 1:
            load.quiet_since = self._clock()

    def ended(self, deployment: Deployment, ending: Ending) -> None:
        """One fewer. A failure is never good news: it can raise the estimate, not lower it."""
        load = self._load(deployment.name)
        load.outstanding = max(0, load.outstanding - 1)
        load.quiet_since = now = self._clock()
        if ending.good is None:
            return
        sample = max(ending.latency_s, 0.0)
        if load.latency_s is None:
            load.latency_s = sample if ending.good else None
        elif ending.good or sample > load.latency_s:
            load.latency_s += self._settings.gain * (sample - load.latency_s)
        load.at = now

    def outstanding(self, name: str) -> int:
        """Calls on their way to the deployment of this name."""
        return self._load(name).outstanding

    def _effective(self, group: Sequence[Deployment]) -> list[float]:
        loads = [self._load(deployment.name) for deployment in group]
        weights = [max(deployment.weight, 1e-6) for deployment in group]
        slowness = self._slowness(loads)
        fair = (sum(load.outstanding for load in loads) + 1) / sum(weights)  # calls per weight, this one included
        return [
            weight / (slow * (1 + max(0, load.outstanding - math.ceil(fair * weight))))
            for weight, slow, load in zip(weights, slowness, loads, strict=True)
        ]

    def _slowness(self, loads: list[_Load]) -> list[float]:
        known = [load.latency_s for load in loads if load.latency_s]
        if not known:
            return [1.0] * len(loads)
        best, now = min(known), self._clock()
        return [self._slow(load, best, now) for load in loads]

    def _slow(self, load: _Load, best_s: float, now: float) -> float:
        usual_s = load.latency_s or best_s
        slow = 1 + (usual_s / best_s - 1) * math.exp(-max(0.0, now - load.at) / self._settings.forget_s)
        # One that hangs sends no samples: a silence well beyond the usual is the sample.
        silence_s = now - load.quiet_since if load.outstanding else 0.0
        return max(slow, silence_s / best_s) if silence_s > self._settings.patience * usual_s else slow

    def _owed(self, key: tuple[str, ...]) -> dict[str, float]:
        key = tuple(sorted(key))
        if (owed := self._credits.get(key)) is None:
            owed = self._credits[key] = dict.fromkeys(key, 0.0)
            if len(self._credits) > self._settings.groups:
                self._credits.popitem(last=False)
        self._credits.move_to_end(key)
        return owed

    def _load(self, name: str) -> _Load:
        if (load := self._loads.get(name)) is None:
            load = self._loads[name] = _Load()
        return load
