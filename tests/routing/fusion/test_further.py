"""A larger panel after one that was in doubt: who spoke is not asked again, and what the rest may cost is known before."""

import pytest
from fusion_house import said

from providers.errors import Unavailable
from providers.types import Message, Price, Request, Text
from routing.fusion.ask import FuseAsk, FusionSettings
from routing.fusion.further import further
from routing.types import Ask

pytestmark = pytest.mark.anyio
QUESTION = "Which?\nA) one\nB) two\nC) three"
B, C = "The answer is (B).", "The answer is (C)."


def asking(**ask) -> FuseAsk:
    return FuseAsk(Ask(Request((Message("user", (Text(QUESTION),)),)), **ask))


async def larger(panel, room_usd=None, **first):
    """A first fuse, what more would cost, and what more says."""
    before = await panel.fuse(QUESTION, **first)
    asked = len(panel.asked)
    usd = await panel.fusion.more(asking(), before, room_usd)
    if usd is None:
        return before, None, []
    after = await panel.fusion.fuse(further(asking(id="f2"), before, usd))
    return before, after, panel.asked[asked:]


async def test_who_spoke_is_heard_again_and_only_the_others_are_asked(house):
    panel = house({"alpha": B, "beta": B, "gamma": C, "delta": C})
    before, after, asked = await larger(panel)
    assert sorted(asked) == ["delta", "gamma"]
    assert (before.agreement.pattern, after.agreement.pattern) == ("2/2", "2/4")
    assert after.confidence.value < before.confidence.value
    assert {a.provider for a in after.receipt.attempts} == {"gamma", "delta"}
    assert after.reasons[0] == f"2 answers of {before.id} count here too, paid for there ($0.0000)"
    assert set(after.texts) == {"alpha/m", "beta/m", "gamma/m", "delta/m"}


async def test_who_could_not_answer_is_given_another_chance(house):
    turns = iter([Unavailable("down"), Unavailable("down")])
    panel = house({"alpha": lambda request: next(turns, B), "beta": B, "gamma": B, "delta": B})
    before, after, asked = await larger(panel)
    assert [c.status for c in before.candidates if c.provider == "alpha"] == ["failed"]
    assert sorted(asked) == ["alpha", "delta"]
    assert (after.status, after.agreement.pattern) == ("agreed", "4/4")


async def test_what_a_second_call_had_read_out_counts_and_is_not_read_again(house):
    def alpha(request):
        repairs = "Do not solve anything yourself" in request.messages[-1].text
        return "ANSWER: B" if repairs else "It is hard to say, the second perhaps"

    dear = {name: {"price": Price(9.0, 9.0)} for name in ("beta", "gamma")}
    panel = house({"alpha": alpha, "beta": C, "gamma": B}, cards={"alpha": {"quality": 0.9}, **dear})
    before, after, asked = await larger(panel, max_calls=3, models=("alpha/m", "beta/m"))
    assert before.agreement.asked == 2
    assert asked == ["gamma"]
    assert (after.answer, after.agreement.pattern) == ("B", "2/3")


async def test_an_abstention_that_was_heard_stays_one(house):
    said_nothing = said("I do not know.")
    panel = house({"alpha": said_nothing, "beta": B, "gamma": B, "delta": B}, settings=FusionSettings(repair=False))
    _, after, asked = await larger(panel, effort="balanced")
    assert asked == ["delta"]
    assert {c.provider: c.status for c in after.candidates}["alpha"] == "abstained"


@pytest.mark.parametrize("room_usd", [0.0005, 0.002, 1.0, None])
async def test_the_price_is_the_worst_case_within_the_room_or_there_is_none(house, room_usd):
    panel = house({"alpha": B, "beta": B, "gamma": C}, cards={"gamma": {"price": Price(1.0, 10.0), "quality": 0.7}})
    before = await panel.fuse(QUESTION)
    usd = await panel.fusion.more(asking(), before, room_usd)
    read = before.receipt.usage.input
    expected = {0.0005: None, 0.002: None, 1.0: (read + 8192 * 10) / 1e6, None: (read + 8192 * 10) / 1e6}
    assert usd == expected[room_usd]
    assert await panel.fusion.more(asking(), before, 0.01) == 0.01


async def test_who_has_no_price_adds_nothing_to_it(house):
    panel = house({"alpha": B, "beta": B, "gamma": C}, cards={"gamma": {"price": None, "quality": 0.7}})
    assert await panel.fusion.more(asking(), await panel.fuse(QUESTION), 0.0) == 0.0


async def test_there_is_no_larger_panel_where_all_were_asked_or_a_thread_holds_the_answer(house):
    panel = house({"alpha": B, "beta": Unavailable("down"), "gamma": C})
    everybody = await panel.fuse(QUESTION, effort="thorough")
    assert await panel.fusion.more(asking(), everybody, None) is None
    panel = house({"alpha": B, "beta": B, "gamma": C})
    first = await panel.fuse(QUESTION)
    assert await panel.fusion.more(asking(conversation=first.id), first, None) is None
