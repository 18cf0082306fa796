"""Routing replayed: recorded answers through the product's own manager under several strategies, in virtual time.

`python -m bench.replay_route --data DIR [--json] [--sample N]`. Cards carry the accuracies of the labelled part per kind of
task, as the product classifies it; figures are on the rest. Accuracy in points, cost relative to the best single model.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import anyio

from bench.recorded import House, Question, accuracy, prices, read, request, trains
from bench.scores import usd
from providers.simulator.virtual import VirtualLoop
from routing.errors import Refusal
from routing.fusion.answers import extract
from routing.fusion.cascading import Agreement
from routing.tasks import classify
from routing.types import Ask

STRATEGIES = ("cascade", "quality", "balanced", "cost")
SETS = {"zeroeval": ("crux", "math-l5", "gsm"), "mmlu-pro": ("mmlu-pro",)}
HIDDEN = ("o1-mini-2024-09-12",)  # its reasoning tokens are not recorded: its cost is unknown, so it is left out
MOST_MISSING = 0.05  # of a set's questions: models that answered fewer are left out


def pooled(data: dict[str, list[Question]], names: Sequence[str]) -> tuple[list[Question], list[str]]:
    """The questions of these sets that every one of their models answered, and those models."""
    sets = [data[ds] for ds in names if ds in data]
    models = [
        m for m in (sets[0][0].said if sets else ()) if m not in HIDDEN and all(_answered(m, held) for held in sets)
    ]
    return [q for held in sets for q in held if all(m in q.said for m in models)], models


def _answered(model: str, questions: Sequence[Question]) -> bool:
    return sum(model not in q.said for q in questions) <= MOST_MISSING * len(questions)


def kind(question: Question) -> str:
    return classify(request(question)).kind


def cards(train: Sequence[Question], models: Sequence[str]) -> dict[str, dict[str, float]]:
    """Quality by kind of task: (hits + 10 x overall) / (n + 10), as the guide measured best."""
    by_kind: dict[str, list[Question]] = defaultdict(list)
    for question in train:
        by_kind[kind(question)].append(question)
    told: dict[str, dict[str, float]] = {}
    for model in models:
        overall = accuracy(model, train)
        told[model] = {"default": overall} | {
            k: (sum(q.said[model].right for q in held) + 10 * overall) / (len(held) + 10) for k, held in by_kind.items()
        }
    return told


async def _routed(house: House, test: Sequence[Question], strategy: str) -> dict:
    manager = house.manager(cascade=Agreement())
    hits = calls = escalated = 0
    cost = 0.0
    for question in test:
        try:
            receipt = (result := await manager.generate(Ask(request(question), strategy=strategy))).receipt
            found = extract(result.answer.text, question.spec)
            hits += found is not None and question.right(found.span)
        except Refusal as refusal:
            receipt = refusal.receipt
        if receipt is not None:
            calls += len(receipt.attempts)
            escalated += len(receipt.attempts) > 2
            cost += receipt.cost_usd or 0.0
    count = len(test)
    return {"accuracy": 100 * hits / count, "calls": calls / count, "escalated": escalated / count, "usd": cost}


def routed(folder: str, group: str, strategy: str, sample: int | None) -> dict | None:
    """One strategy on one group of sets."""
    data = read(Path(folder))
    questions, models = pooled(data, SETS[group])
    train, test = [q for q in questions if trains(q)], [q for q in questions if not trains(q)][:sample]
    if not train or not test:
        return None
    price = prices(Path(folder))
    skill = {m: accuracy(m, train) for m in models}
    best = max(models, key=lambda m: skill[m])
    house = House(test, price, cards(train, models))
    told = anyio.run(_routed, house, test, strategy, backend_options={"loop_factory": VirtualLoop})
    single = 100 * sum(q.said[best].right for q in test) / len(test)
    spent = sum(usd(q, [best], price) for q in test)
    return {
        "policy": strategy,
        "group": group,
        "questions": len(test),
        "models": len(models),
        "best": best,
        "best_single": round(single, 4),
        "accuracy": round(told["accuracy"], 4),
        "gain": round(told["accuracy"] - single, 4),
        "cost_ratio": round(told["usd"] / spent, 4),
        "calls": round(told["calls"], 4),
        "escalated": round(told["escalated"], 4),
        "usd_per_1000": round(1000 * told["usd"] / len(test), 4),
        "best_usd_per_1000": round(1000 * spent / len(test), 4),
    }


def _task(job: tuple) -> dict | None:
    return routed(*job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("PLENUM_REPLAY_DATA", ""))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sample", type=int, help="only the first N test questions of each group")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    if not chosen.data:
        print("no data: give --data DIR or set PLENUM_REPLAY_DATA", file=sys.stderr)
        return
    jobs = [(chosen.data, group, strategy, chosen.sample) for group in SETS for strategy in STRATEGIES]
    with ProcessPoolExecutor(chosen.workers) as executor:
        rows = [row for row in executor.map(_task, jobs) if row is not None]
    if chosen.json:
        print(json.dumps({"policies": rows}))
        return
    for row in rows:
        print(
            f"{row['group']:<9} {row['policy']:<12} {row['accuracy']:6.2f} at {row['cost_ratio']:.2f} x "
            f"(best single {row['best']} {row['best_single']:.2f}); {row['calls']:.2f} calls"
        )


if __name__ == "__main__":
    main()
