"""Rehearsals: what would have failed, slowed, cost."""

import pytest
from doubles import Listed, sim

from providers.types import Price
from routing.drill import Drill, Trouble, rehearse
from routing.settings import RoutingSettings


def test_killing_one_of_two_providers_loses_no_answer():
    two = Listed([sim("openai", price=Price(1, 2)), sim("alpha", price=Price(3, 6))])
    report = rehearse(two, Drill((Trouble("openai", "kill"),), requests=60), RoutingSettings(strategy="cost"))
    assert report.calm.served == {"openai": 60}
    assert report.troubled.served == {"alpha": 60}
    assert report.troubled.failures == {}
    assert report.troubled.cost_usd == pytest.approx(3 * report.calm.cost_usd)
    assert report.troubled.calls < 60 * 1.2
    assert any("everything then hangs on alpha" in finding for finding in report.findings)


def test_killing_the_only_provider_tells_what_fails_and_what_to_add():
    report = rehearse(Listed([sim("openai")]), Drill((Trouble("openai", "kill"),), requests=30))
    assert report.troubled.answered == 0
    assert sum(report.troubled.failures.values()) == 30
    assert any("add a provider" in finding for finding in report.findings)


def test_a_slow_provider_slows_only_until_it_is_left():
    two = Listed([sim("slow"), sim("quick")])
    report = rehearse(two, Drill((Trouble("slow", "slow"),), requests=100))
    assert report.troubled.answered == 100
    assert 0 < report.slowed <= 25
    assert report.troubled.served["quick"] > 75


def test_a_limiting_provider_is_left_alone_for_as_long_as_it_said():
    two = Listed([sim("busy"), sim("free")])
    report = rehearse(two, Drill((Trouble("busy", "limit"),), requests=120))
    assert report.troubled.answered == 120
    assert report.troubled.calls <= 120 + 6  # a minute at two a second, one knock each 30 s and what was on its way


def test_a_drill_needs_no_keys():
    report = rehearse(Listed([sim("keyless", status="no_key")]), Drill((), requests=5))
    assert report.calm.answered == 5


def test_trouble_for_an_unknown_provider_is_refused_by_name():
    with pytest.raises(ValueError, match="there is no provider nobody"):
        rehearse(Listed([sim("a")]), Drill((Trouble("nobody", "kill"),)))
