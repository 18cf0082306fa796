"""`plenum bench`: its statistics, its envelope, its report."""

import random
import xml.etree.ElementTree as ET

import pytest

from providers.types import Answer, Usage
from routing.errors import BudgetExceeded, ProvidersFailed
from routing.types import Receipt, Result
from server.bench.cases import CASES, score
from server.bench.report import advice, chart, markdown
from server.bench.run import Bench, Plan, Sample
from server.bench.stats import chance, scores

pytestmark = pytest.mark.anyio
SUM = CASES[0]


class Scripted:
    """Answers as told, each at this price."""

    def __init__(self, answers: dict, usd: float = 0.01) -> None:
        self.answers, self.usd, self.asked = answers, usd, []

    async def generate(self, ask) -> Result:
        self.asked.append(ask)
        said = self.answers[ask.model]
        if isinstance(said, Exception):
            raise said
        return Result(Answer(said), Receipt(ask.id, cost_usd=self.usd, latency_s=1.0, usage=Usage(10, 5)))


async def test_gold_answers_judges_and_failures_are_counted() -> None:
    manager = Scripted({"a/good": "It is 391", "b/bad": "390", "c/dead": ProvidersFailed("no"), "j/judge": "7"})
    run = Bench(manager, Plan(("a/good", "b/bad", "c/dead"), (SUM, CASES[-1]), 2, judge="j/judge"), lambda _: None)
    found = {one.model: one for one in scores(await run.run())}
    assert found["a/good"].quality.mean == pytest.approx((1 + 0.7) / 2)
    assert found["b/bad"].quality.mean == pytest.approx(0.35)
    assert found["c/dead"].reliability == 0
    assert found["c/dead"].latency_s is None
    assert run.spent == pytest.approx(0.01 * len([a for a in manager.asked if a.model != "c/dead"]))
    assert len({ask.key for ask in manager.asked}) == len(manager.asked)
    assert all(ask.cache == "off" for ask in manager.asked)


async def test_the_envelope_bounds_every_call_and_ends_the_run() -> None:
    manager = Scripted({"a/x": "391", "b/y": "391"}, usd=0.02)
    run = Bench(manager, Plan(("a/x", "b/y"), (SUM,), 10, usd=0.1), lambda _: None)
    await run.run()
    assert run.cut
    assert run.spent < 0.125  # this manager obeys no limit: the last round may cost its two calls
    assert manager.asked[0].max_cost_usd == pytest.approx(0.05)
    broke = Bench(Scripted({"a/x": BudgetExceeded("x")}), Plan(("a/x",), (SUM,), 1), lambda _: None)
    assert (await broke.run(), broke.cut) == ([], True)


def test_every_gold_answer_is_right_and_others_are_wrong() -> None:
    for case in CASES:
        if case.gold:
            assert score(case, f"Answer: {case.gold}" if case.spec.kind == "choice" else case.gold) == 1
            assert score(case, "I do not know.") == 0


def test_chance_is_told_from_a_difference() -> None:
    rng = random.Random(1)
    assert chance([1.0] * 10, [0.0] * 10, rng) < 0.01
    assert chance([1.0, 0.0] * 5, [0.0, 1.0] * 5, rng) > 0.5
    assert chance([1.0], [0.0], rng) == 1.0


def samples(model: str, quality: float, usd: float, seconds: float, n: int = 20) -> list[Sample]:
    return [Sample(model, "fact", "ok", seconds + i / 100, usd, 10, quality) for i in range(n)]


def test_advice_names_the_cheapest_of_equals_and_who_is_worse() -> None:
    every = [*samples("a/best", 1, 0.5, 2), *samples("b/cheap", 1, 0.1, 3), *samples("c/poor", 0, 0.01, 1)]
    every += [Sample("d/flaky", "fact", "timeout", 1, 0, 0)] * 10 + samples("d/flaky", 1, 0.1, 1, 10)
    said = "\n".join(advice(every))
    assert "For cost: b/cheap" in said
    assert "For speed: a/best" in said
    assert "c/poor is worse than" in said
    assert "d/flaky answered only 50%" in said
    assert "Too few" in advice(every[:3])[0]


def test_report_and_chart_are_well_formed_whatever_a_model_is_called() -> None:
    every = [*samples('evil|<script>"&`', 1, 0.5, 2), *samples("b/cheap", 1, 0.1, 3)]
    text = markdown(every, "head")
    assert "<script>" not in text
    assert "chart.svg" in text
    assert len([line for line in text.splitlines() if line.startswith("| ") and "$" in line]) == 2
    assert len(ET.fromstring(chart(every)).findall(".//{*}rect")) == 6
    assert ET.fromstring(chart([])) is not None
