"""Intervals and chances: against textbook values, and against what happens when nothing differs."""

from random import Random

import pytest

from routing.experiments.statistics import SMALL, chance, interval, paired, shares, unpaired, wilson


def test_wilson_and_fisher_agree_with_the_textbook() -> None:
    assert wilson(1, 10) == pytest.approx((0.0179, 0.4042), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    tea = shares((1, 4), (3, 4))  # Fisher's own tea: p = 0.4857
    assert tea.p == pytest.approx(0.4857, abs=1e-4)
    assert shares((8, 10), (1, 10)).p == pytest.approx(0.0055, abs=2e-4)
    # Newcombe 1998, method 10: 56/70 against 48/80
    newcombe = shares((48, 80), (56, 70))
    assert (newcombe.low, newcombe.high) == pytest.approx((0.0524, 0.3339), abs=1e-3)
    assert shares((0, 0), (1, 2)) is None


def test_nothing_is_said_of_one_value() -> None:
    assert paired([1.0], Random(1)) is None
    assert unpaired([1.0], [1.0, 2.0], Random(1)) is None
    assert chance([1.0], [2.0, 3.0], Random(1)) == 1.0
    assert interval([3.0], Random(1)) == (3.0, 3.0)


@pytest.mark.parametrize("size", [30, SMALL + 100])
def test_a_real_difference_is_found_and_its_interval_holds_the_truth(size: int) -> None:
    rng = Random(5)
    control = [rng.gauss(10, 2) for _ in range(size)]
    arm = [rng.gauss(12, 2) for _ in range(size)]
    for found in (unpaired(control, arm, rng), paired([b - a for a, b in zip(control, arm, strict=True)], rng)):
        assert found.p < 0.01
        assert found.low < 2 < found.high
        assert found.low < found.value < found.high


@pytest.mark.parametrize("size", [12, SMALL])
def test_where_nothing_differs_few_are_called_different(size: int) -> None:
    rng, called = Random(9), 0
    trials = 40 if size < SMALL else 200
    for _ in range(trials):
        same = [rng.lognormvariate(0, 1) for _ in range(2 * size)]
        called += unpaired(same[:size], same[size:], rng).p < 0.05
    assert called / trials <= 0.12


def test_equal_pairs_are_no_difference() -> None:
    assert paired([0.0] * 20, Random(1)).p > 0.99
    assert paired([0.0] * (SMALL + 1), Random(1)).p == 1.0
