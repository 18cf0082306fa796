"""Prometheus, by the contract's names: one registry per app, fed by routing events; scraped at `/metrics`.

Model names come from callers, so their number is bounded: beyond `SERIES` distinct ones a series says `other`.
"""

from collections.abc import Iterable
from typing import TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from routing.costs.reports import BudgetState
from routing.events import (
    Answered,
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    CacheLooked,
    ContextFetched,
    Event,
    Fused,
)
from routing.types import Attempt

BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30)  # seconds, contract §4
STATES = {"closed": 0, "half_open": 1, "open": 2}
SERIES = 500
Family = TypeVar("Family", Counter, Gauge, Histogram)
disable_created_metrics()  # a second series per counter that nobody asked for


class Metrics:
    """An observer that counts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        model = ("provider", "model")
        self._names: set[tuple[str, str]] = set()
        self._series: dict[tuple[object, tuple[str, ...]], object] = {}
        self._requests = Counter("ai_requests", "Calls to providers.", (*model, "status"), registry=registry)
        self._seconds = Histogram(
            "ai_response_duration_seconds", "Of calls that succeeded.", model, registry=registry, buckets=BUCKETS
        )
        self._tokens = Counter("ai_tokens_used", "Tokens, as billed.", (*model, "type"), registry=registry)
        self._active = Gauge("ai_active_requests", "Calls on their way.", ("provider",), registry=registry)
        self._cache = Counter("ai_cache_hits", "Response cache lookups.", ("type",), registry=registry)
        for kind in ("hit", "miss"):
            self._cache.labels(kind)
        self._cost = Counter("ai_cost_usd", "What calls cost.", model, registry=registry)
        self._breaker = Gauge("ai_breaker_state", "0 closed, 1 half-open, 2 open.", ("provider",), registry=registry)
        self._budget = Gauge("ai_budget_remaining_usd", "What is left.", ("scope", "period"), registry=registry)
        self._fusions = Counter("ai_fusion", "Fusions by how they ended.", ("status",), registry=registry)
        self._fallbacks = Counter("ai_fallbacks", "Answers that came from a second choice.", model, registry=registry)
        self._context = Counter("ai_context_fetches", "Looks at upstreams.", ("server", "status"), registry=registry)

    def __call__(self, event: Event) -> None:
        """Count it."""
        match event:
            case AttemptStarted():
                self._one(self._active, event.provider).inc()
                self._one(self._breaker, event.provider)  # closed, until an event says otherwise
            case AttemptEnded():
                self._one(self._active, event.attempt.provider).dec()
                self._ended(event.attempt)
            case Answered() if len(event.receipt.attempts) > 1:
                self._fallbacks.labels(*self._pair(event.receipt.provider, event.receipt.model)).inc()
            case BreakerChanged() if not event.model:
                self._breaker.labels(event.provider).set(STATES[event.state])
            case CacheLooked():
                self._one(self._cache, "miss" if event.kind == "miss" else "hit").inc()
            case Fused():
                self._fusions.labels(event.status).inc()
            case ContextFetched():
                self._context.labels(event.server, "success" if event.ok else "error").inc()
            case _:
                pass

    def _ended(self, attempt: Attempt) -> None:
        pair = self._pair(attempt.provider, attempt.model)
        good = attempt.outcome == "ok"
        self._one(self._requests, *pair, "success" if good else "error").inc()
        if good:
            self._one(self._seconds, *pair).observe(attempt.latency_s)
        self._one(self._tokens, *pair, "prompt").inc(max(attempt.usage.input, 0))
        self._one(self._tokens, *pair, "completion").inc(max(attempt.usage.output, 0))
        self._one(self._cost, *pair).inc(max(attempt.cost_usd or 0.0, 0.0))

    def _one(self, family: Family, *labels: str) -> Family:
        """The series with these labels, looked up by the library once: it checks and locks each time."""
        key = family, labels
        if (found := self._series.get(key)) is None:
            found = self._series[key] = family.labels(*labels)
        return cast("Family", found)

    def _pair(self, provider: str, model: str) -> tuple[str, str]:
        pair = provider, model
        if pair not in self._names and len(self._names) >= SERIES:
            return provider, "other"
        self._names.add(pair)
        return pair

    def scrape(self, budgets: Iterable[BudgetState] = ()) -> bytes:
        """The exposition text, format 0.0.4, with the budgets as they are now."""
        for budget in budgets:
            self._budget.labels(budget.scope, budget.period).set(budget.remaining_usd)
        return generate_latest(self.registry)
