"""The cascade through the real manager: what is asked, what is answered, what the receipt tells."""

import anyio
import pytest
from fusion_house import said

from providers.errors import Unavailable
from providers.types import Message, Price, Request, Text
from routing.fusion.cascading import Agreement
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


async def test_explain_says_what_the_plan_is_and_asks_nobody(house):
    panel = three(house)
    receipt = await panel.manager.explain(ask())
    assert panel.asked == []
    assert "if they agree, else strong/m" in receipt.reasoning
