"""The report of an experiment: what is said, and what is not."""

from random import Random

import pytest

from routing.experiments.report import shown
from routing.store.trials import Trial


def rows(count: int, *, arm_usd: float, pairs: bool, arm_faults: int = 0, agree: float = 1.0) -> list[Trial]:
    rng, found = Random(3), []
    for n in range(count):
        nano, pair = int(rng.lognormvariate(13, 0.4)), f"g{n}" if pairs else ""
        found.append(Trial("e", f"g{n}", "control", n, "a/m", nano=nano, latency_s=1 + rng.random(), pair=pair))
        told = {"agreement": float(rng.random() < agree), "basis": "number"} if pairs else {}
        found.append(
            Trial(
                "e", f"x{n}", "arm", n, "b/m", nano=int(nano * arm_usd), latency_s=1 + rng.random(), pair=pair,
                faults=int(n < arm_faults), **told,
            )
        )  # fmt: skip
    return found


def measure(report, name):
    return next(one for one in report.measures if one.name == name)


@pytest.mark.parametrize("pairs", [True, False])
def test_a_cheaper_arm_is_called_that_and_equal_latency_is_not(pairs: bool) -> None:
    report = shown("e", rows(80, arm_usd=0.5, pairs=pairs))
    cost = measure(report, "cost")
    assert cost.sure and cost.difference.high < 0 < cost.control.low
    assert cost.arm.value == pytest.approx(cost.control.value / 2, rel=0.01)
    assert not measure(report, "latency").sure
    assert "50% less cost" in report.summary and "latency" not in report.summary
    assert report.pairs is pairs and report.trials == {"control": 80, "arm": 80}


def test_pairs_see_what_two_crowds_hide() -> None:
    few = rows(25, arm_usd=0.93, pairs=True)
    apart = [Trial(**{name: getattr(t, name) for name in Trial.__slots__} | {"pair": ""}) for t in few]
    assert measure(shown("e", few), "cost").sure
    assert not measure(shown("e", apart), "cost").sure


def test_contract_failures_and_agreement_are_shares_with_intervals() -> None:
    report = shown("e", rows(100, arm_usd=1.0, pairs=True, arm_faults=15, agree=0.8))
    broken = measure(report, "contract failures")
    assert (broken.control.value, broken.arm.value, broken.sure) == (0.0, 0.15, True)
    agreed = report.agreement["same answer"]
    assert agreed.n == 100 and agreed.low < agreed.value < agreed.high and abs(agreed.value - 0.8) < 0.12
    assert "contract failures 0.0% → 15.0%" in report.summary


def test_too_few_are_not_compared_and_unpriced_are_no_zeroes() -> None:
    assert "Nothing can be compared" in shown("e", []).summary
    one = [Trial("e", "g", "control", 1.0, nano=None), Trial("e", "x", "arm", 1.0, nano=5)]
    report = shown("e", one)
    assert report.unpriced == 1
    assert measure(report, "cost").difference is None
    assert measure(report, "cost").control.value is None


def test_the_same_rows_make_the_same_report() -> None:
    trials = rows(50, arm_usd=0.9, pairs=False)
    assert shown("e", trials) == shown("e", trials)
