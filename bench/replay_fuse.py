"""Fusion replayed: recorded answers of real models through the product's own manager and fusion, in virtual time.

`python -m bench.replay_fuse --data DIR [--json] [--sample N] [--policies quick,…] [--workers N]`. Nothing is sampled
unless `--sample` says so. `reference` is the guide's recipe computed beside from the recorded spans and marks,
`reference_full` its full panel; `raw_text` the original design. Repair calls are off: nobody recorded them.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import anyio

from bench.recorded import POOLS, House, Question, accuracy, asked_of, prices, read, request, trains
from bench.scores import Outcome, overall, raw_texts, reference, summary, usd
from providers.simulator.virtual import VirtualLoop
from routing.errors import Refusal
from routing.fusion.answers import Spec, extract
from routing.fusion.ask import FuseAsk, FusionSettings
from routing.fusion.fusion import Fusion, Means
from routing.fusion.stopping import groups
from routing.fusion.tally import Tally
from routing.fusion.types import Ballot, Member
from routing.fusion.weights import weight
from routing.types import Ask, Deployment

OURS = {
    "quick": {"effort": "quick"},
    "balanced": {"effort": "balanced"},
    "thorough": {"effort": "thorough"},
}
REFERENCES = {
    "reference": ("agree2", 2),
    "reference_full": ("full", 1),
    "reference_decided": ("decided", 3),
    "majority_all": ("majority", 0),
}


@cache
def data(folder: str) -> dict[str, list[Question]]:
    return read(Path(folder))


async def _ours(house: House, test: Sequence[Question], known: dict) -> list[Outcome]:
    tally = Tally()
    settings = FusionSettings(repair=False, deadline_s=600.0)
    fusion = Fusion(
        house.manager(observer=tally), house.directory, settings, Means(tally=tally, clock=anyio.current_time)
    )
    outcomes: list[Outcome] = []
    for number, question in enumerate(test):  # one after the other: time is virtual
        ask = Ask(request(question), id=f"q{number:07d}")
        try:
            result = await fusion.fuse(FuseAsk(ask, answer=question.spec.kind, **known))
        except Refusal as refusal:  # every member said nothing at all: wrong, at the price of having asked
            receipt = refusal.receipt
            asked = {attempt.model for attempt in receipt.attempts} if receipt else set()
            outcomes.append(Outcome(False, 0.0, len(asked), (receipt.cost_usd or 0.0) if receipt else 0.0))
            continue
        sure = result.confidence.value or 0.0
        outcomes.append(Outcome(question.right(result.answer), sure, len(result.candidates), result.cost_usd or 0.0))
    return outcomes


def ours(folder: str, pool: str, policy: str, sample: int | None) -> dict | None:
    """One pool under one of our policies."""
    ds, models = POOLS[pool]
    questions = asked_of(data(folder), ds, models)
    train, test = [q for q in questions if trains(q)], [q for q in questions if not trains(q)][:sample]
    if not train or not test:
        return None
    price = prices(Path(folder))
    p = {m: accuracy(m, train) for m in models}
    best = max(models, key=lambda m: p[m])
    house = House(test, price, {m: {"default": p[m]} for m in models})
    outcomes = anyio.run(_ours, house, test, OURS[policy], backend_options={"loop_factory": VirtualLoop})
    hits = 100 * sum(q.said[best].right for q in test) / len(test)
    return summary(pool, outcomes, hits, sum(usd(q, [best], price) for q in test))


def beside(folder: str, pool: str, policy: str, sample: int | None) -> dict | None:
    """One pool under the guide's recipe, or the original design."""
    ds, models = POOLS[pool]
    questions = asked_of(data(folder), ds, models)
    train, test = [q for q in questions if trains(q)], [q for q in questions if not trains(q)][:sample]
    if not train or not test:
        return None
    price = prices(Path(folder))
    if policy == "raw_text":
        from rapidfuzz.distance import Levenshtein

        def alike(one: str, other: str) -> bool:
            return Levenshtein.normalized_similarity(one, other, score_cutoff=0.80) > 0.80

        return summary(pool, *raw_texts(train, test, models, price, alike))
    return summary(pool, *reference(train, test, models, price, REFERENCES[policy]))


def extraction(folder: str) -> dict:
    """Abstentions, clusters that mix right and wrong recorded marks, and how right the newly extracted is."""
    told: dict[str, dict] = {}
    clusters = mixed = 0
    for ds, questions in data(folder).items():
        row = {"answers": 0, "abstained": 0, "recorded_abstained": 0, "new": 0, "new_right": 0, "new_expected": 0.0}
        marks: dict[str, list[bool]] = defaultdict(list)
        for question in questions:
            for model, said in question.said.items():
                marks[model].append(said.recorded)
        skill = {model: sum(held) / len(held) for model, held in marks.items()}
        for question in questions:
            by_key: dict[str, set[bool]] = defaultdict(set)
            for model, said in question.said.items():
                row["answers"] += 1
                row["abstained"] += said.key is None
                row["recorded_abstained"] += said.recorded_span is None
                if said.key is not None and said.recorded_span is None:
                    row["new"] += 1
                    row["new_right"] += said.right
                    row["new_expected"] += skill[model]
                if said.key is not None and said.span == said.recorded_span:
                    by_key[said.key].add(said.recorded)
            clusters += len(by_key)
            mixed += sum(len(held) > 1 for held in by_key.values())
        told[ds] = row | {"abstention_rate": round(row["abstained"] / row["answers"], 5)}
    open_sets = [row for ds, row in told.items() if ds != "mmlu-pro"]
    zero = sum(row["answers"] for row in open_sets)
    return {
        "sets": told,
        "zeroeval_abstention_rate": round(sum(row["abstained"] for row in open_sets) / zero, 5) if zero else None,
        "mmlupro_abstention_rate": told.get("mmlu-pro", {}).get("abstention_rate"),
        "clusters": clusters,
        "mixed_clusters": mixed,
        "false_merge_rate": round(mixed / clusters, 6),
    }


def cpu_s(fuses: int = 1000) -> float:
    """CPU seconds of extracting from and voting over five answers of 1,200 characters, `fuses` times."""
    filler = "So we look at it once more and weigh what was said before. " * 20
    spec = Spec("number")
    members = [
        Member(Deployment(f"p{n}", "m", "e", None, None, None), 0.9 - n / 50)  # type: ignore[arg-type]  # only counted
        for n in range(5)
    ]
    texts = [f'{filler[:1160]}\n{{"answer": "{1200 + n % 2}"}}' for n in range(5)]
    started = time.process_time()
    for _ in range(fuses):
        ballots = [Ballot(m, "answered", t, extract(t, spec)) for m, t in zip(members, texts, strict=True)]
        groups(ballots, weight)
    return time.process_time() - started


def _task(job: tuple) -> tuple[str, str, dict | None]:
    kind, folder, pool, policy, sample = job
    return policy, pool, (ours if kind == "ours" else beside)(folder, pool, policy, sample)


def run(folder: str, policies: Sequence[str], sample: int | None, workers: int) -> dict:
    """Everything."""
    data(folder)
    jobs = [
        ("ours" if policy in OURS else "beside", folder, pool, policy, sample) for policy in policies for pool in POOLS
    ]
    jobs.sort(key=lambda job: ("mmlu" not in job[2], job[0] != "ours"))
    if workers > 1:
        with ProcessPoolExecutor(workers) as executor:
            done = list(executor.map(_task, jobs))
    else:
        done = [_task(job) for job in jobs]
    found: dict[str, list[dict]] = defaultdict(list)
    for policy, _, told in done:
        if told is not None:
            found[policy].append(told)
    order = {pool: at for at, pool in enumerate(POOLS)}
    told = [
        overall(policy, sorted(found[policy], key=lambda p: order[p["pool"]])) for policy in policies if found[policy]
    ]
    return {"policies": told, "extraction": extraction(folder), "cpu_s_per_1000_fuses": round(cpu_s(), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("PLENUM_REPLAY_DATA", ""))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sample", type=int, help="only the first N test questions of each pool")
    parser.add_argument("--policies", default=",".join((*OURS, *REFERENCES, "raw_text")))
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    if not chosen.data:
        print("no data: give --data DIR or set PLENUM_REPLAY_DATA", file=sys.stderr)
        return
    told = run(chosen.data, chosen.policies.split(","), chosen.sample, chosen.workers)
    print(json.dumps(told) if chosen.json else table(told))


def table(told: dict) -> str:
    """For people."""
    lines = [f"{'policy':<18}{'mean gain':>10}{'worst':>8}{'calls':>7}{'cost x':>8}{'AUROC':>7}{'ECE':>7}"]
    for row in told["policies"]:
        area = "-" if row["auroc"] is None else f"{row['auroc']:.3f}"
        lines.append(
            f"{row['policy']:<18}{row['mean_gain']:>+10.2f}{row['worst_gain']:>+8.2f}{row['calls']:>7.2f}"
            f"{row['cost_ratio']:>8.2f}{area:>7}{row['ece']:>7.3f}"
        )
    for row in told["policies"][:1]:
        lines += [f"\n{row['policy']}, pool by pool"]
        lines += [
            f"  {p['pool']:<17}{p['best_single']:>7.2f} -> {p['accuracy']:.2f} ({p['gain']:+.2f}) "
            f"{p['calls']:.2f} calls, {p['cost_ratio']:.2f} x"
            for p in row["pools"]
        ]
    found = told["extraction"]
    lines.append(
        f"\nabstentions: zeroeval {found['zeroeval_abstention_rate']}, mmlupro {found['mmlupro_abstention_rate']}; "
        f"false merges {found['mixed_clusters']} of {found['clusters']}; "
        f"1,000 fuses of 5 answers: {told['cpu_s_per_1000_fuses']:.2f} s CPU"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
