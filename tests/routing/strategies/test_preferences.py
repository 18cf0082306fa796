"""What each strategy prefers."""

import pytest
from doubles import sim

from providers.types import Message, ModelCard, Request, Text
from routing import strategies
from routing.types import Signals

REQUEST = Request((Message("user", (Text("What is 2+3?"),)),))


def card(family, **quality):
    return ModelCard("m", family=family, quality={"default": 0.5, **quality})


CHEAP = sim("cheap", card=card("c", default=0.5, code=0.4))
GOOD = sim("good", card=card("g", default=0.9, code=0.7))
CODER = sim("coder", card=card("k", default=0.6, code=0.95))
ALL = [GOOD, CHEAP, CODER]
COSTS = {"cheap/m": 0.001, "good/m": 0.02, "coder/m": 0.004}
TIMES = {"cheap/m": 1.0, "good/m": 6.0, "coder/m": 0.5}


def order(name, **known):
    signals = Signals(cost_usd=COSTS, time_s=TIMES, **known)
    return [d.provider for d, _ in strategies.load(name)(ALL, REQUEST, signals).ranked]


def test_cost_prefers_the_cheapest():
    assert order("cost") == ["cheap", "coder", "good"]


def test_quality_prefers_the_best_at_this_kind_of_task():
    assert order("quality", kind="code") == ["coder", "good", "cheap"]
    assert order("quality", kind="text") == ["good", "coder", "cheap"]


def test_performance_prefers_the_fastest():
    assert order("performance") == ["coder", "cheap", "good"]


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        ({"cost": 1, "quality": 0, "performance": 0}, "cheap"),
        ({"cost": 0, "quality": 1, "performance": 0}, "good"),
        ({"cost": 0, "quality": 0, "performance": 1}, "coder"),
    ],
)
def test_balanced_follows_its_weights(weights, first):
    assert order("balanced", weights=weights)[0] == first


def test_carbon_prefers_the_least_and_flags_who_has_no_figures():
    grams = {"cheap/m": None, "good/m": (2.0, 6.0), "coder/m": (0.5, 1.5)}
    ranking = strategies.load("carbon")(ALL, REQUEST, Signals(grams=lambda d: grams[d.name]))
    assert ranking.ranked[0][0] is CODER
    assert "no figures for cheap/m" in ranking.reason


def test_a_free_model_is_the_cheapest_and_does_not_make_the_others_worthless():
    free = Signals(cost_usd={"cheap/m": 0.0, "good/m": 0.02, "coder/m": 0.004})
    ranked = strategies.load("cost")(ALL, REQUEST, free).ranked
    assert ranked[0] == (CHEAP, 1.0)
    assert 0 < ranked[2][1] < ranked[1][1]
