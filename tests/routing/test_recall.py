"""Never twice: joined while running, replayed when known, refused when a request_id meets other arguments."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from providers.types import Answer, Reasoning, ToolCall, Usage
from routing.errors import InvalidRequest, ProvidersFailed
from routing.journal import Kept
from routing.ports import Flight
from routing.recall import Found, Replay
from routing.store.sqlite import SqliteStore, sqlite
from routing.types import Ask, Attempt, ContextUse, Exclusion, Receipt, Result
from tests.routing.money import Clock, ask, deployment, dies, rows

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.fixture
def another(tmp_path: Path):
    """Opens the same store once more, as another process would."""
    return lambda: sqlite(tmp_path / "plenum.db")


@pytest.fixture
async def store(another) -> AsyncIterator[SqliteStore]:
    async with another() as opened:
        yield opened


def replay(store: SqliteStore, **facts) -> Replay:
    return Replay(store.archive, store.archive, **{"clock": Clock(), **facts})


class Model:
    """Answers by counting its calls; waits to be let go where told so."""

    def __init__(self, gate: anyio.Event | None = None, error: Exception | None = None) -> None:
        self.calls = 0
        self.called = anyio.Event()
        self.gate = gate
        self.error = error

    async def ask(self, recall: Replay, asked: Ask) -> Result:
        async with recall.flight(asked) as flight:
            if flight.found is not None:
                return flight.found
            self.calls += 1
            self.called.set()
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            result = Result(Answer(f"answer {self.calls}"), Receipt(f"id-{self.calls}", cost_usd=0.5, caller="local"))
            await flight.keep(result)
            return result


async def test_a_finished_request_id_is_replayed_at_no_cost_also_by_another_process(store, another):
    model, asked = Model(), ask(request_id="q1")
    first = await model.ask(replay(store), asked)
    async with another() as other:
        again = await model.ask(replay(other), asked)
    assert model.calls == 1
    assert again.answer == first.answer
    assert (again.receipt.cached, again.receipt.cost_usd, again.receipt.id) == ("replayed", 0.0, "id-1")


async def test_a_request_id_is_kept_for_a_day_and_for_its_own_caller(store):
    model, clock = Model(), Clock()
    recall = replay(store, clock=clock)
    await model.ask(recall, ask(request_id="q1"))
    await model.ask(recall, ask(request_id="q1", caller="eve"))
    assert model.calls == 2
    clock.now += 86_300
    await model.ask(recall, ask(request_id="q1"))
    assert model.calls == 2
    clock.now += 200
    await model.ask(recall, ask(request_id="q1"))
    assert model.calls == 3


async def test_a_request_id_with_other_arguments_is_an_error_running_or_finished(store):
    model = Model(anyio.Event())
    recall = replay(store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.ask, recall, ask("one", request_id="q1"))
        await model.called.wait()
        with pytest.raises(InvalidRequest, match="other arguments"):
            await model.ask(recall, ask("two", request_id="q1"))
        model.gate.set()
    with pytest.raises(InvalidRequest) as refused:
        await model.ask(recall, ask("two", request_id="q1"))
    assert "new request_id" in refused.value.hint
    assert model.calls == 1


@pytest.mark.parametrize("request_id", [None, "q1"])
async def test_a_hundred_that_ask_the_same_while_it_runs_share_one_call(store, request_id):
    model, results = Model(anyio.Event()), []
    recall = replay(store)

    async def one() -> None:
        results.append(await model.ask(recall, ask(request_id=request_id)))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
        await model.called.wait()
        model.gate.set()
    assert model.calls == 1
    assert sorted(r.receipt.cached for r in results) == ["joined"] * 99 + ["no"]
    assert sum(r.receipt.cost_usd for r in results) == 0.5


async def test_a_cancelled_leader_does_not_take_its_followers_along(store):
    model, results = Model(anyio.Event()), []
    recall = replay(store)

    async def follow() -> None:
        results.append(await model.ask(recall, ask()))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as leader:
            async with anyio.create_task_group() as inner:
                inner.start_soon(model.ask, recall, ask())
                await model.called.wait()
                tasks.start_soon(follow)
                tasks.start_soon(follow)
                await anyio.wait_all_tasks_blocked()
                leader.cancel()
                model.gate.set()
    assert model.calls == 1
    assert [r.answer.text for r in results] == ["answer 1", "answer 1"]


async def test_followers_share_the_leaders_refusal_and_the_next_one_tries_again(store):
    model = Model(anyio.Event(), ProvidersFailed("all failed", hint="later"))
    recall, errors = replay(store), []

    async def one() -> None:
        try:
            await model.ask(recall, ask(request_id="q"))
        except ProvidersFailed as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
        await model.called.wait()
        model.gate.set()
    assert model.calls == 1
    assert [(e.message, e.hint) for e in errors] == [("all failed", "later")] * 5
    model.error = None
    assert (await model.ask(recall, ask(request_id="q"))).answer.text == "answer 2"


async def test_without_request_id_a_delivered_answer_is_not_replayed(store):
    model, recall = Model(), replay(store)
    for calls in range(1, 4):  # at once, though the store notes a delivery only with its next write
        await model.ask(recall, ask())
        assert model.calls == calls


async def test_an_answer_that_reached_nobody_is_replayed_for_ten_minutes_and_once(store):
    model, clock = Model(), Clock()
    recall = replay(store, clock=clock)
    with anyio.CancelScope() as scope:
        async with recall.flight(ask()) as flight:
            await flight.keep(Result(Answer("paid"), Receipt("lost", cost_usd=0.5)))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    clock.now += 599
    found = await model.ask(recall, ask())
    assert (found.answer.text, found.receipt.cached) == ("paid", "replayed")
    await store.ledger.reclaim().wait()
    assert (await model.ask(recall, ask())).answer.text == "answer 1"
    Kept(store.archive).deliver("id-1", reached=False)
    await store.ledger.reclaim().wait()
    assert (await model.ask(recall, ask())).answer.text == "answer 1"
    Kept(store.archive).deliver("id-1", reached=False)
    clock.now += 601
    assert (await model.ask(recall, ask())).answer.text == "answer 2"


async def test_a_claim_of_a_dead_process_is_taken_over_and_a_living_ones_is_waited_for(store, another):
    model, results = Model(anyio.Event()), []
    asked = ask(request_id="q1")
    looked = anyio.Event()

    async def look_again(_: float) -> None:
        looked.set()
        await anyio.lowlevel.checkpoint()

    async with another() as other:

        async def follow() -> None:
            results.append(await model.ask(replay(store, sleep=look_again), asked))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(model.ask, replay(other), asked)
            await model.called.wait()
            tasks.start_soon(follow)
            await looked.wait()
            model.gate.set()
        assert results[0].receipt.cached == "joined"
        async with replay(other).flight(ask(request_id="dies")):
            dies(other)
            assert (await model.ask(replay(store), ask(request_id="dies"))).answer.text == "answer 2"


async def test_who_works_on_a_handle_is_known_to_other_processes_and_when_it_died_at_it(store, another):
    mine = Kept(store.archive, claims=store.archive)
    async with another() as other:
        theirs = Kept(other.archive, claims=other.archive)
        await theirs.begin("t1", "me")
        assert await mine.lives("t1", "me") is True
        assert await mine.lives("t1", "somebody") is None
        theirs.end("t1", "me")
        await other.ledger.reclaim().wait()
        assert await mine.lives("t1", "me") is None
        await theirs.begin("t2", "me")
        dies(other)
        assert await mine.lives("t2", "me") is False


async def test_members_of_a_panel_are_never_joined(store):
    model, recall = Model(), replay(store)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(model.ask, recall, ask(part_of="fuse"))
    assert model.calls == 3


async def test_where_texts_are_not_kept_nothing_readable_is_and_nothing_is_replayed(store):
    model, recall = Model(), replay(store, texts=False)
    await model.ask(recall, ask("a secret", request_id="q"))
    assert rows(store, "SELECT answer, turn FROM receipt") == [(None, None)]
    await model.ask(recall, ask("a secret", request_id="q"))
    assert model.calls == 2
    if isinstance(store, SqliteStore):
        assert b"secret" not in store.path.read_bytes() + store.path.with_name("plenum.db-wal").read_bytes()


async def test_what_lies_beneath_is_asked_next_and_fed(store):
    fed: list[Result] = []

    class Cache:
        def __init__(self) -> None:
            self.hit: Result | None = None

        @asynccontextmanager
        async def flight(self, asked: Ask) -> AsyncIterator[Flight]:
            class Below(Found):
                async def keep(self, result: Result) -> None:
                    fed.append(result)

            yield Below(self.hit, asked)

    cache, model = Cache(), Model()
    recall = replay(store, beneath=cache)
    cache.hit = await model.ask(recall, ask(request_id="a"))
    assert [r.answer.text for r in fed] == ["answer 1"]
    assert await model.ask(recall, ask(request_id="b")) == cache.hit
    with pytest.raises(InvalidRequest):  # it holds though nothing was bought under it
        await model.ask(recall, ask("two", request_id="b"))
    assert model.calls == 1


async def test_a_full_receipt_comes_back_as_it_was(store):
    recall = replay(store)
    said = Answer(
        "ümlaut \ud800 " + "x" * 5000,
        (Reasoning("why", "sig"),),
        (ToolCall("1", "f", "{}"),),
        "stop",
        usage=Usage(1, 2, 3, 4, 5, cost_usd=0.25),
        warnings=("w",),
    )
    receipt = Receipt(
        "full",
        attempts=(Attempt("p", "m", "ok", usage=Usage(9, 9)),),
        excluded=(Exclusion(deployment("p2"), "breaker open", 3.0),),
        context=(ContextUse("docs", ("r",), 5),),
        carbon_g=(0.1, 0.2),
        candidates=(("p/m", 0.5),),
    )
    async with recall.flight(ask(request_id="f")) as flight:
        await flight.keep(Result(said, receipt))
    async with recall.flight(ask(request_id="f")) as flight:
        found = flight.found
    assert found.answer.text == said.text.replace("\ud800", "?")
    assert found.answer.tool_calls == said.tool_calls and found.answer.usage == said.usage
    assert found.receipt.attempts == receipt.attempts and found.receipt.context == receipt.context
    assert found.receipt.excluded[0].deployment.name == "p2/m1" and found.receipt.excluded[0].returns_s == 3.0
    assert found.receipt.candidates == receipt.candidates and found.receipt.carbon_g == (0.1, 0.2)


def test_equal_asks_have_one_key_in_every_process():
    wanted = "require=frozenset({'vision', 'tools', 'json'}), exclude_families=frozenset('abcdef')"
    code = f"from routing.recall import digest; from tests.routing.money import ask; print(digest(ask({wanted})))"
    environments = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in range(1, 5)]
    run = partial(subprocess.run, [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len({run(env=environment).stdout for environment in environments}) == 1
