"""Trials and the past: the same tests for every engine (the PostgreSQL suite runs them too)."""

import anyio
import pytest

from providers.types import Message, Text
from routing.conversations import Turn
from routing.store.archive import Record
from routing.store.codec import pack, unpack
from routing.store.trials import Trial
from routing.types import Receipt
from tests.routing.money import answer, ask, bill, tracker

pytestmark = pytest.mark.anyio


async def settled_trials(store, count: int, since: float = 0.0) -> list[Trial]:
    with anyio.fail_after(30):
        while len(found := list(await store.trials.since(since))) < count:
            await anyio.sleep(0.02)
    return found


async def test_trials_come_back_as_they_were_oldest_first(store) -> None:
    late = Trial("cheaper", "x_2", "arm", 20.0, "b/m", False, "timeout", None, 2.5, 1, "g_1", 0.5, "text")
    early = Trial("cheaper", "g_1", "control", 10.0, "a/m", nano=123, latency_s=1.5, pair="g_1")
    store.trials.note(late)
    store.trials.note(early)
    assert await settled_trials(store, 2) == [early, late]
    assert list(await store.trials.since(15.0)) == [late]
    assert await store.trials.arm("cheaper", "x_2") == "arm"
    assert await store.trials.arm("other", "x_2") is None


async def test_the_past_holds_receipt_turn_and_the_name_asked_for(store) -> None:
    purse = tracker(store, 1.0)
    for number in range(3):
        async with purse.hold(bill(f"g_{number}")) as held:
            held.settle(answer())
        turn = pack(Turn(ask(f"question {number}").request.messages)) if number else None
        body = pack(Receipt(f"g_{number}", provider="alpha", model="m1"))
        await store.archive.keep(Record(f"g_{number}", "local", 100.0 + number, "k", body, None, turn)).wait()
    found = await store.trials.past(101.0, 10)
    assert [unpack(one.body, Receipt).id for one in found] == ["g_1", "g_2"]
    assert unpack(found[0].turn, Turn).messages == (Message("user", (Text("question 1"),)),)
    assert {one.asked for one in found} == {"auto"}
    assert [unpack(one.body, Receipt).id for one in await store.trials.past(0.0, 1)] == ["g_2"]
