"""What routing lets itself be told: frozen values with the contract's §2 defaults. Each neighbour keeps its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Guide reliability-and-security §4.4; the bucket's prices are botocore's proportions.

    `attempts` counts every call of an ask. Delays are seconds: `rand × min(base · 2^i, max_s)`, unless the provider
    named its own. A deployment's bucket starts with `bucket` tokens and pays `transient_cost` or `throttle_cost` a retry.
    """

    attempts: int = 3
    base_s: float = 0.25
    throttle_base_s: float = 1.0
    max_s: float = 20.0
    least_s: float = 2.0
    bucket: float = 100.0
    transient_cost: float = 10.0
    throttle_cost: float = 5.0


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """Guide fusion-and-routing §15: `extra` is the share of calls a hedge may add; `tail` the least p99/p50."""

    extra: float = 0.05
    samples: int = 50
    tail: float = 5.0


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """`max_price` is USD per million output tokens: dearer models serve only when named. `deadline_s`: all attempts."""

    strategy: str = "balanced"
    weights: Mapping[str, float] = field(default_factory=lambda: {"cost": 0.35, "quality": 0.40, "performance": 0.25})
    deadline_s: float = 120.0
    max_price: float | None = 50.0
    allowed_regions: frozenset[str] = frozenset()
    unpriced: bool = True
    cheaper: bool = True  # at a budget's edge go to who still fits; else the purse refuses, or asks a person
    retry: RetrySettings = RetrySettings()
    hedge: HedgeSettings = HedgeSettings()
