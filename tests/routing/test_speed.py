"""Ratios that would show a slip of an order: absolute figures belong to `python -m bench.decision` and `bench.manager`."""

import anyio

from bench import decision, manager


def test_a_decision_over_forty_costs_no_more_than_twelve_sorts_of_a_thousand():
    assert decision.measure(rounds=5)["ratio"] <= 12


def test_a_call_without_network_costs_no_more_than_forty_sorts_of_a_thousand():
    assert anyio.run(manager.measure, 5)["ratio"] <= 40
