"""What Prometheus is told: the contract's names, fed by events."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from providers.types import Usage
from routing.costs.reports import BudgetState
from routing.events import AttemptEnded, AttemptStarted, BreakerChanged, CacheLooked, Fused
from routing.types import Attempt
from server.telemetry.metrics import SERIES, Metrics


def values(metrics: Metrics, budgets=()):
    families = text_string_to_metric_families(metrics.scrape(budgets).decode())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_a_call_is_counted_with_its_time_tokens_and_cost() -> None:
    metrics = Metrics()
    metrics(AttemptStarted("1", "openai", "m", 1))
    seen = values(metrics)
    assert (seen["ai_active_requests", "openai"], seen["ai_breaker_state", "openai"]) == (1, 0)
    metrics(AttemptEnded("1", Attempt("openai", "m", "ok", "", 0.7, 0.002, usage=Usage(100, 20))))
    seen = values(metrics)
    assert seen["ai_active_requests", "openai"] == 0
    assert seen["ai_requests_total", "m", "openai", "success"] == 1
    assert seen["ai_response_duration_seconds_bucket", "1.0", "m", "openai"] == 1
    assert seen["ai_response_duration_seconds_bucket", "0.5", "m", "openai"] == 0
    assert seen["ai_tokens_used_total", "m", "openai", "prompt"] == 100
    assert seen["ai_tokens_used_total", "completion", "m", "openai"] == 20
    assert seen["ai_cost_usd_total", "m", "openai"] == pytest.approx(0.002)


def test_a_failed_call_is_an_error_and_has_no_duration() -> None:
    metrics = Metrics()
    metrics(AttemptEnded("1", Attempt("openai", "m", "timeout", "", 60.0, None)))
    seen = values(metrics)
    assert seen["ai_requests_total", "error", "m", "openai"] == 1
    assert not [key for key in seen if key[0].startswith("ai_response")]


def test_breakers_budgets_caches_and_fusions_have_their_series() -> None:
    metrics = Metrics()
    metrics(BreakerChanged("e", "openai", "open", "five failures"))
    metrics(BreakerChanged("e", "openai", "closed", "one model", model="m"))
    metrics(CacheLooked("exact", 0.1))
    metrics(CacheLooked("miss"))
    metrics(Fused("1", "agreed", 1.0, 0.01, 3, 1))
    budget = BudgetState("global", "day", 10, 1, 0, 9, "", None, 0)
    seen = values(metrics, [budget])
    assert seen["ai_breaker_state", "openai"] == 2
    assert (seen["ai_cache_hits_total", "hit"], seen["ai_cache_hits_total", "miss"]) == (1, 1)
    assert seen["ai_fusion_total", "agreed"] == 1
    assert seen["ai_budget_remaining_usd", "day", "global"] == 9


def test_a_caller_who_invents_model_names_cannot_flood_the_scrape() -> None:
    metrics = Metrics()
    for number in range(SERIES * 2):
        metrics(AttemptEnded("1", Attempt("sim", f"invented-{number}", "ok", "", 0.1, 0.0)))
    seen = values(metrics)
    assert seen["ai_requests_total", "other", "sim", "success"] == SERIES
