"""Figures of merit, and the guide's own recipe computed from the recorded answers (fusion-and-routing §5, §6)."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.recorded import Question, accuracy
from providers.types import Price
from routing.envelope import cost_usd
from routing.fusion.answers import load


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question under one policy. `sure` is the reported confidence (for references: the weight share)."""

    right: bool
    sure: float
    calls: int
    usd: float


def auroc(outcomes: Sequence[Outcome]) -> float | None:
    """Area under the curve of confidence against right or wrong; None where it cannot be told."""
    right = sum(o.right for o in outcomes)
    wrong = len(outcomes) - right
    if not right or not wrong or len({o.sure for o in outcomes}) == 1:
        return None
    order = sorted(outcomes, key=lambda o: o.sure)
    total, at = 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and order[end].sure == order[at].sure:
            end += 1
        total += (at + end + 1) / 2 * sum(o.right for o in order[at:end])
        at = end
    return (total - right * (right + 1) / 2) / (right * wrong)


def ece(outcomes: Sequence[Outcome]) -> float:
    """Expected calibration error over ten equal bins."""
    bins: dict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        bins[min(9, int(outcome.sure * 10))].append(outcome)
    return sum(abs(sum(o.sure for o in held) - sum(o.right for o in held)) for held in bins.values()) / len(outcomes)


def summary(pool: str, outcomes: Sequence[Outcome], best: float, best_usd: float) -> dict:
    """One pool under one policy. Accuracy and gain in points."""
    hit = 100 * sum(o.right for o in outcomes) / len(outcomes)
    return {
        "pool": pool,
        "questions": len(outcomes),
        "best_single": round(best, 4),
        "accuracy": round(hit, 4),
        "gain": round(hit - best, 4),
        "calls": round(sum(o.calls for o in outcomes) / len(outcomes), 4),
        "cost_ratio": round(sum(o.usd for o in outcomes) / best_usd, 4),
        "auroc": _rounded(auroc(outcomes)),
        "ece": round(ece(outcomes), 4),
    }


def overall(policy: str, pools: Sequence[dict]) -> dict:
    """Means over pools; a pool whose AUROC is not defined does not count in that mean."""
    return {
        "policy": policy,
        "mean_gain": _mean(p["gain"] for p in pools),
        "worst_gain": min(p["gain"] for p in pools),
        "calls": _mean(p["calls"] for p in pools),
        "cost_ratio": _mean(p["cost_ratio"] for p in pools),
        "auroc": _mean(p["auroc"] for p in pools if p["auroc"] is not None),
        "ece": _mean(p["ece"] for p in pools),
        "pools": list(pools),
    }


def _mean(values) -> float | None:
    known = list(values)
    return round(sum(known) / len(known), 4) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def weight(p: float) -> float:
    p = min(0.98, max(0.02, p))
    return max(0.02, math.log(p / (1 - p)) + 1)


def recipe(keys: Mapping[str, str | None], p: Mapping[str, float], order: Sequence[str], rule: str, first: int):
    """The guide's recipe, literally: who speaks, the weight share, who was asked; None when nobody answered."""
    w = {m: weight(p[m]) for m in order}
    asked: list[str] = []
    groups: dict[str, list[str]] = {}
    for model in order:
        asked.append(model)
        if (key := keys[model]) is not None:
            groups.setdefault(key, []).append(model)
        if len(asked) < min(first, len(order)) or not groups:
            continue
        top, second, *_ = [*sorted((sum(w[x] for x in g) for g in groups.values()), reverse=True), 0.0]
        if rule == "decided" and top > second + sum(w[x] for x in order[len(asked) :]) + 1e-12:
            break
        if rule == "agree2" and max(map(len, groups.values())) >= 2:
            break
    if not groups:
        return None, 0.0, asked
    won = max(groups.values(), key=lambda g: (round(sum(w[x] for x in g), 9), max(p[x] for x in g)))
    return max(won, key=lambda x: p[x]), sum(w[x] for x in won) / sum(w[x] for x in asked), asked


def admit(p: Mapping[str, float]) -> list[str]:
    least = min(1 - x for x in p.values())
    return [m for m in sorted(p, key=lambda m: -p[m]) if 1 - p[m] <= 2 * least]


def usd(question: Question, models: Sequence[str], price: Mapping[str, tuple[str, Price]]) -> float:
    """What asking these models costs."""
    return sum(cost_usd(price[m][1], question.input, question.said[m].output) for m in models)


def reference(
    train: Sequence[Question],
    test: Sequence[Question],
    models: Sequence[str],
    price: Mapping[str, tuple[str, Price]],
    policy: tuple[str, int],
) -> tuple[list[Outcome], float, float]:
    """The recipe over the recorded spans and marks: outcomes, accuracy (points) and cost of the best single model."""
    p = {m: accuracy(m, train, recorded=True) for m in models}
    best = max(models, key=lambda m: p[m])
    rule, first = policy
    order = sorted(models, key=lambda m: -p[m]) if rule == "majority" else admit(p)
    outcomes: list[Outcome] = []
    for question in test:
        form = load(question.spec.kind)
        spans = {m: question.said[m].recorded_span for m in order}
        keys = {m: None if span is None else form.key(span, question.spec) for m, span in spans.items()}
        who, sure, asked = majority(keys, p, order) if rule == "majority" else recipe(keys, p, order, rule, first)
        right = who is not None and question.said[who].recorded
        outcomes.append(Outcome(right, sure, len(asked), usd(question, asked, price)))
    hits = sum(q.said[best].recorded for q in test)
    return outcomes, 100 * hits / len(test), sum(usd(q, [best], price) for q in test)


def majority(keys: Mapping[str, str | None], p: Mapping[str, float], order: Sequence[str]):
    """Everybody, one vote each, a tie to the best member."""
    groups: dict[str, list[str]] = {}
    for model in order:
        if (key := keys[model]) is not None:
            groups.setdefault(key, []).append(model)
    if not groups:
        return None, 0.0, list(order)
    won = max(groups.values(), key=lambda g: (len(g), max(p[x] for x in g)))
    return max(won, key=lambda x: p[x]), len(won) / len(order), list(order)


def raw_texts(
    train: Sequence[Question], test: Sequence[Question], models: Sequence[str], price, alike: Callable[[str, str], bool]
) -> tuple[list[Outcome], float, float]:
    """The original design: raw texts alike are one answer, weights are the members' accuracies."""
    p = {m: accuracy(m, train, recorded=True) for m in models}
    best = max(models, key=lambda m: p[m])
    outcomes: list[Outcome] = []
    for question in test:
        groups: list[list[str]] = []
        for model in sorted(models, key=lambda m: -p[m]):
            near = [g for g in groups if any(alike(question.said[model].text, question.said[x].text) for x in g)]
            groups = [g for g in groups if g not in near] + [[model, *(x for g in near for x in g)]]
        won = max(groups, key=lambda g: sum(p[x] for x in g))
        who = max(won, key=lambda x: p[x])
        sure = sum(p[x] for x in won) / sum(p.values())
        outcomes.append(Outcome(question.said[who].recorded, sure, len(models), usd(question, models, price)))
    hits = sum(q.said[best].recorded for q in test)
    return outcomes, 100 * hits / len(test), sum(usd(q, [best], price) for q in test)
