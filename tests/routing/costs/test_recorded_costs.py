"""What we compute for real answers is what their providers charged for them.

The recordings are third-party test input beside the repository, never part of it.
"""

import json
import lzma
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from providers.catalog import cost_nano, price
from providers.dialects import load, read_json
from providers.errors import ProviderError
from providers.types import Answer, ModelCard
from routing.costs.pricing import Tariffs, charge
from tests.routing.money import bill, deployment

FILE = Path(__file__).parents[3].parent / "shared/data/recorded/exchanges.dev.jsonl.xz"
DIALECTS = {"openai-chat": "openai_chat", "openai-responses": "openai_responses"}
TODAY = datetime(2026, 11, 20, tzinfo=UTC)  # of recordings that bear no date


@cache
def charged(provider: str) -> tuple[tuple[str, float, float], ...]:
    """Recording, USD as reported, USD as computed without knowing the report."""
    if not FILE.exists():
        pytest.skip("the recorded exchanges are not on this machine")
    with lzma.open(FILE, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    wanted = [row for row in rows if row["provider"] == provider and row["wire"] in DIALECTS and row["status"] == 200]
    return tuple(pair for row in wanted if (pair := compared(row)) is not None)


def compared(row: dict) -> tuple[str, float, float] | None:
    answer = read(row)
    if answer is None or not answer.usage.cost_usd:
        return None
    stamp = row["recorded_at"]
    now = datetime.fromisoformat(stamp.replace("Z", "+00:00")) if stamp else TODAY
    find = lambda provider, model: price(provider, model, now)
    model = row["model"] or answer.model_returned
    asked = deployment(row["provider"], model, find(row["provider"], model))
    found = charge(
        Tariffs(cost_nano, find),
        bill(of=asked, tokens=(100_000, 100_000)),
        replace(answer, usage=replace(answer.usage, cost_usd=None)),
    )
    assert found.basis == "priced"
    return row["id"], answer.usage.cost_usd, (found.nano or 0) / 1e9


def read(row: dict) -> Answer | None:
    fold = load(DIALECTS[row["wire"]]).fold(ModelCard(row["model"] or "?"))
    try:
        if not row["streaming"]:
            fold.whole(read_json(row["response_text"].encode()))
        for block in re.split(r"\r?\n\r?\n", row["response_text"]) if row["streaming"] else ():
            lines = block.splitlines()
            data = [line[5:].strip() for line in lines if line.startswith("data:")]
            if data and not fold.done:
                names = [line[6:].strip() for line in lines if line.startswith("event:")]
                fold.event(names[-1] if names else "", "\n".join(data).encode())
    except ProviderError:
        return None
    return fold.answer()


def test_every_xai_answer_costs_what_xai_said_within_one_percent():
    found = charged("xai")
    assert len(found) >= 15
    off = {name: ours / theirs - 1 for name, theirs, ours in found}
    print(f"xAI: {len(found)} answers, worst {max(map(abs, off.values())):.4%}")
    assert all(abs(share) <= 0.01 for share in off.values()), off


def test_openrouter_answers_cost_what_openrouter_said_within_two_percent_at_the_median():
    found = charged("openrouter")
    assert len(found) >= 20
    off = [abs(ours / theirs - 1) for _, theirs, ours in found]
    print(f"OpenRouter: {len(found)} answers, median {median(off):.4%}, within 2 %: {sum(o <= 0.02 for o in off)}")
    assert median(off) <= 0.02
