"""The laboratory on the simulator: splits, shadows, what is written down, and that nobody waits for it."""

from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from doubles import Listed, ask, conduct, sim

from providers.types import Answer, Message, Request, Text, ToolCall
from routing.errors import BudgetExceeded, ProvidersFailed, Refusal
from routing.experiments.agreement import agreement
from routing.experiments.aside import Aside
from routing.experiments.assignment import Experiment
from routing.experiments.laboratory import Laboratory, Shadowing
from routing.manager import ProviderManager
from routing.prepared import as_it_is
from routing.types import Receipt, Resolution, Result

pytestmark = pytest.mark.anyio


class Named(Listed):
    """`b` is b's deployment, everything else is everybody."""

    def resolve(self, asked):
        found = super().resolve(asked)
        if asked.model == "b":
            return Resolution("b", (tuple(d for d in self.deployments() if d.provider == "b"),))
        return found


class Book:
    def __init__(self) -> None:
        self.rows = []

    def note(self, trial) -> None:
        self.rows.append(trial)

    async def since(self, at):
        return [trial for trial in self.rows if trial.at >= at]

    async def arm(self, experiment, id):
        return next((t.arm for t in self.rows if (t.experiment, t.id) == (experiment, id)), None)

    async def past(self, since, limit):
        return []

    async def until(self, count: int):
        with anyio.fail_after(30):
            while len(self.rows) < count:
                await anyio.sleep(0.005)
        return self.rows


def house(*behaviour):
    a, b = behaviour or (conduct(), conduct())
    return ProviderManager(Named([sim("a", a, priority=1), sim("b", b)]))


@asynccontextmanager
async def lab(manager, *experiments, room=lambda receipt: True, aside=None):
    book, aside = Book(), aside or Aside()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(aside.run)
        yield Laboratory(manager, experiments, book, Shadowing(aside, as_it_is, room)), book
        tasks.cancel_scope.cancel()


def split(share: float = 0.5, **more) -> Experiment:
    return Experiment("try", "split", share, model="b", **more)


def shadow(share: float = 1.0, **more) -> Experiment:
    return Experiment("try", "shadow", share, **{"model": "b", **more})


async def test_a_split_serves_a_share_by_the_arm_says_so_and_writes_both_down() -> None:
    async with lab(house(), split()) as (manager, book):
        results = [await manager.generate(ask(key=f"k{n}")) for n in range(60)]
    by_arm = [r for r in results if r.receipt.provider == "b"]
    assert 15 <= len(by_arm) <= 45
    assert all("experiment try: this request was drawn for b" in r.receipt.warnings for r in by_arm)
    assert not any("experiment" in w for r in results if r.receipt.provider == "a" for w in r.receipt.warnings)
    assert {row.id for row in book.rows} == {r.receipt.id for r in results}
    assert {row.model for row in book.rows if row.arm == "arm"} == {"b/m"}
    assert all(row.ok and not row.pair for row in book.rows)


async def test_a_conversation_stays_with_its_arm_whichever_answer_it_continues() -> None:
    one = split()
    async with lab(house(), one) as (manager, _):
        for number in range(20):
            first = await manager.generate(ask(key=f"k{number}"))
            later = await manager.generate(ask("and?", key=f"l{number}", conversation=first.receipt.id))
            last = await manager.generate(ask("so?", key=f"m{number}", conversation=later.receipt.id))
            assert first.receipt.provider == later.receipt.provider == last.receipt.provider


async def test_a_shadow_is_seen_by_nobody_and_compared_with_what_the_caller_got() -> None:
    async with lab(house(), shadow()) as (manager, book):
        result = await manager.generate(ask("What is 2+3?"))
        control, arm = await book.until(2)
    assert result.receipt.provider == "a" and not any("experiment" in w for w in result.receipt.warnings)
    assert (control.id, control.pair, control.arm, control.model) == (
        result.receipt.id,
        result.receipt.id,
        "control",
        "a/m",
    )
    assert (arm.pair, arm.arm, arm.model, arm.agreement, arm.basis) == (result.receipt.id, "arm", "b/m", 1.0, "number")
    assert arm.id.startswith("x_")


async def test_nobody_waits_for_a_shadow_that_never_answers() -> None:
    async with lab(house(conduct(), conduct("hang")), shadow()) as (manager, book):
        with anyio.fail_after(30):
            for number in range(8):
                assert (await manager.generate(ask(key=f"k{number}"))).receipt.provider == "a"
    assert book.rows == []


async def test_what_finds_no_place_is_left_out_not_queued_without_end() -> None:
    aside = Aside(at_once=1, line=2)
    async with lab(house(conduct(), conduct("hang")), shadow(), aside=aside) as (manager, _):
        for number in range(10):
            await manager.generate(ask(key=f"k{number}"))
            await anyio.sleep(0)
    assert aside.left_out >= 6


async def test_one_piece_of_work_that_fails_ends_no_other() -> None:
    aside, done = Aside(at_once=1), anyio.Event()

    async def fail() -> None:
        raise RuntimeError

    async def succeed() -> None:
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(aside.run)
        assert aside.offer(fail) and aside.offer(succeed)
        with anyio.fail_after(30):
            await done.wait()
        tasks.cancel_scope.cancel()
    assert aside.left_out == 1


async def test_a_shadow_for_which_there_is_no_room_is_not_asked() -> None:
    aside = Aside()
    async with lab(house(), shadow(), room=lambda receipt: receipt.candidates[0][0] != "b/m", aside=aside) as (
        manager,
        book,
    ):
        await manager.generate(ask())
        with anyio.fail_after(30):
            while not aside.left_out:
                await anyio.sleep(0.005)
    assert book.rows == []


async def test_a_failing_arm_is_written_down_as_that_and_the_callers_answer_stands() -> None:
    async with lab(house(conduct(), conduct("status:500")), shadow()) as (manager, book):
        assert (await manager.generate(ask())).receipt.provider == "a"
        _, arm = await book.until(2)
    assert (arm.ok, arm.code, arm.agreement) == (False, "provider_failed", None)


async def test_attempts_that_broke_the_contract_are_counted() -> None:
    async with lab(house(conduct("empty"), conduct()), split(0.0)) as (manager, book):
        assert (await manager.generate(ask())).receipt.provider == "b"
    assert (book.rows[0].faults, book.rows[0].ok) == (1, True)


async def test_a_live_stream_takes_part_too() -> None:
    async with lab(house(), split(1.0)) as (manager, book):
        async with manager.stream(ask()) as stream:
            text = "".join([delta.text async for delta in stream if delta.kind == "text"])
        assert "5" in text and stream.result.receipt.provider == "b"
        async with manager.stream(ask()) as stream:
            await anext(stream)  # and left
    assert [(row.arm, row.ok) for row in book.rows] == [("arm", True)]


class Canned:
    """A manager with one answer."""

    def __init__(self, outcome) -> None:
        self.outcome = outcome

    async def generate(self, asked, tell=None):
        if isinstance(self.outcome, Refusal):
            raise self.outcome
        return self.outcome

    async def explain(self, asked):
        return Receipt(asked.id, candidates=(("b/m", 1.0),))


@pytest.mark.parametrize(
    "outcome",
    [
        BudgetExceeded("no", hint="", receipt=Receipt("g")),
        Result(Answer("hi"), Receipt("g", provider="a", model="m", cached="replayed")),
    ],
)
async def test_what_the_arms_did_not_do_is_not_held_against_them(outcome) -> None:
    async with lab(Canned(outcome), split(), shadow()) as (manager, book):
        try:
            await manager.generate(ask())
        except Refusal:
            pass
        await anyio.sleep(0.01)
    assert book.rows == []


async def test_an_ask_that_failed_is_a_row_of_its_arm() -> None:
    receipt = Receipt("g", cost_usd=0.25, attempts=())
    async with lab(Canned(ProvidersFailed("no", hint="", receipt=receipt)), split(0.0)) as (manager, book):
        with pytest.raises(ProvidersFailed):
            await manager.generate(ask())
    assert [(row.ok, row.code, row.nano) for row in book.rows] == [(False, "provider_failed", 250_000_000)]


def said(prompt: str, **more) -> Request:
    return Request((Message("user", (Text(prompt),)),), **more)


@pytest.mark.parametrize(
    ("prompt", "one", "other", "expected"),
    [
        ("What is 6*7?", "It is 42.", "The product comes to 42", (1.0, "number")),
        ("What is 6*7?", "It is 42.", "The product comes to 43", (0.0, "number")),
        ("Is it safe? yes or no", "Yes.", "no", (0.0, "label")),
        ("Tell me of rivers", "A  River flows", "a river flows", (1.0, "text")),
    ],
)
def test_agreement_goes_by_answers_where_there_are_some_else_by_wording(prompt, one, other, expected) -> None:
    assert agreement(said(prompt), Answer(one), Answer(other)) == expected


def test_calls_of_tools_agree_by_name_and_arguments() -> None:
    one = Answer("", tool_calls=(ToolCall("1", "look", '{"a": 1}'),))
    assert agreement(said("x"), one, replace(one, tool_calls=(ToolCall("2", "look", '{"a":1}'),))) == (1.0, "tools")
    assert agreement(said("x"), one, Answer("no")) == (0.0, "tools")


def test_prose_is_as_near_as_its_wording() -> None:
    share, basis = agreement(said("Describe the sea"), Answer("blue and wide"), Answer("grey and wide"))
    assert basis == "text" and 0.4 < share < 0.9
