"""One suite over every file in `routing/strategies/` (and every entry point): what any strategy owes."""

import pytest
from doubles import sim
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.types import Message, ModelCard, Price, Request, Text
from routing import strategies
from routing.types import Signals

REQUEST = Request((Message("user", (Text("What is 2+3?"),)),))
money = st.floats(0, 100, allow_nan=False)


@st.composite
def fields(draw):
    """Deployments and what is expected of them."""
    count = draw(st.integers(1, 6))
    deployments = [
        sim(
            f"p{n}",
            card=ModelCard("m", family=f"f{n % 3}", quality={"default": draw(st.floats(0, 1))}),
            price=draw(st.none() | st.builds(Price, money, money)),
        )
        for n in range(count)
    ]
    costs = {d.name: draw(money) for d in deployments}
    times = {d.name: draw(st.floats(0, 500)) for d in deployments}
    grams = {d.name: draw(st.none() | st.tuples(money, money)) for d in deployments}
    return deployments, Signals(cost_usd=costs, time_s=times, grams=lambda d: grams[d.name])


def test_the_built_in_strategies_are_found_by_their_files():
    assert {"cost", "quality", "performance", "balanced", "carbon"} <= set(strategies.names())


def test_an_unknown_strategy_is_a_key_error():
    with pytest.raises(KeyError):
        strategies.load("banana")


@pytest.mark.parametrize("name", strategies.names())
@settings(max_examples=60, deadline=None)
@given(field=fields())
def test_a_strategy_ranks_everybody_it_does_not_exclude_best_first_with_scores_0_to_1(name, field):
    deployments, signals = field
    ranking = strategies.load(name)(deployments, REQUEST, signals)
    named = [d.name for d, _ in ranking.ranked] + [e.deployment.name for e in ranking.excluded]
    assert sorted(named) == sorted(d.name for d in deployments)
    scores = [score for _, score in ranking.ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert ranking.reason


@pytest.mark.parametrize("name", strategies.names())
def test_a_strategy_is_pure_and_works_on_nothing_but_what_it_is_given(name):
    deployments = [sim("a"), sim("b")]
    first = strategies.load(name)(deployments, REQUEST, Signals())
    assert first.ranked == strategies.load(name)(deployments, REQUEST, Signals()).ranked
    assert [d.provider for d in deployments] == ["a", "b"]
