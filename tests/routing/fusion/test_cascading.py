"""The cascade through the real manager: what is asked, what is answered, what the receipt tells."""

from contextlib import asynccontextmanager

import anyio
import pytest
from fusion_house import said

from providers.errors import Unavailable
from providers.types import Message, Price, Request, Text
from routing.fusion.cascading import Agreement
from routing.ports import NoRecall
from routing.types import Ask

pytestmark = pytest.mark.anyio
CARDS = {
    "strong": {"quality": 0.9, "price": Price(10.0, 30.0)},
    "mini": {"quality": 0.8, "price": Price(0.1, 0.3)},
    "flash": {"quality": 0.78, "price": Price(0.1, 0.2)},
}


def ask(prompt: str = "What is 6 * 7?") -> Ask:
    return Ask(Request((Message("user", (Text(prompt),)),)), strategy="cascade")


def members(**said_by):
    return {"strong": said("ANSWER: 42"), "mini": said("ANSWER: 42"), "flash": said("The answer is 42."), **said_by}


class Notebook(NoRecall):
    """Writes down what is kept."""

    def __init__(self, told: list) -> None:
        self.told = told

    @asynccontextmanager
    async def flight(self, asked):
        async with super().flight(asked) as flight:
            yield Noting(flight, self.told)


class Noting:
    def __init__(self, flight, told: list) -> None:
        self.found, self.ask, self._told = flight.found, flight.ask, told

    async def keep(self, result) -> None:
        self._told.append(result)


def three(house, **said_by):
    return house(members(**said_by), cards=CARDS, manager={"cascade": Agreement()})


async def test_two_cheap_ones_that_agree_are_the_answer(house):
    panel = three(house)
    result = await panel.manager.generate(ask())
    assert result.receipt.provider == "mini"
    assert sorted(panel.asked) == ["flash", "mini"]
    assert len(result.receipt.attempts) == 2


async def test_they_are_asked_at_the_same_time(house):
    panel = three(house, mini=said("ANSWER: 42", 3.0), flash=said("ANSWER: 42", 3.0))
    started = anyio.current_time()
    await panel.manager.generate(ask())
    assert anyio.current_time() - started == pytest.approx(3.0, abs=0.1)


async def test_where_they_disagree_the_strong_one_decides(house):
    panel = three(house, flash=said("ANSWER: 41"))
    result = await panel.manager.generate(ask())
    assert result.receipt.provider == "strong"
    assert [a.outcome for a in result.receipt.attempts] == ["ok", "ok", "ok"]


async def test_a_cheap_one_that_fails_is_a_disagreement(house):
    panel = three(house, flash=Unavailable("down"))
    result = await panel.manager.generate(ask())
    assert result.receipt.provider == "strong"
    assert "unavailable" in [a.outcome for a in result.receipt.attempts]


async def test_when_the_strong_one_fails_the_others_are_tried(house):
    panel = three(house, flash=said("ANSWER: 41"), strong=Unavailable("down"))
    result = await panel.manager.generate(ask())
    assert result.receipt.provider in ("mini", "flash")


async def test_prose_goes_to_the_cheapest_alone(house):
    panel = three(house, flash=said("Rome was not built in a day."))
    result = await panel.manager.generate(ask("Tell me about Rome."))
    assert (result.receipt.provider, panel.asked) == ("flash", ["flash"])


async def streamed(panel, prompt="What is 6 * 7?"):
    async with panel.manager.stream(ask(prompt)) as live:
        pieces = [delta.text async for delta in live]
    return pieces, live.result


async def test_a_stream_hands_out_whole_what_cheap_ones_agree_on(house):
    told = []
    panel = house(members(), cards=CARDS, manager={"cascade": Agreement(), "recall": Notebook(told)})
    pieces, result = await streamed(panel)
    assert pieces == ["ANSWER: 42"]
    assert sorted(panel.asked) == ["flash", "mini"]
    assert (result.receipt.provider, len(result.receipt.attempts)) == ("mini", 2)
    assert told == [result]


async def test_a_stream_is_the_strong_ones_where_they_disagree(house):
    panel = three(house, flash=said("ANSWER: 41"), strong=said("ANSWER: 42, and that is that"))
    pieces, result = await streamed(panel)
    assert len(pieces) > 1
    assert result.receipt.provider == "strong"
    assert [a.outcome for a in result.receipt.attempts] == ["ok", "ok", "ok"]


async def test_a_cheap_one_that_was_cut_off_settles_no_stream(house):
    panel = three(house, flash=said("ANSWER: 42", finish_reason="length"))
    assert (await streamed(panel))[1].receipt.provider == "strong"


async def test_explain_says_what_the_plan_is_and_asks_nobody(house):
    panel = three(house)
    receipt = await panel.manager.explain(ask())
    assert panel.asked == []
    assert "if they agree, else strong/m" in receipt.reasoning
