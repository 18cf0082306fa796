"""What a fuse came to, in words a person can act on: in its summary, and in its receipt, which holds no text of an answer."""

import re

import pytest
from fusion_house import said

from providers.errors import ContentRefused, Unavailable
from providers.types import Message, Request, Text
from routing.fusion.ask import FuseAsk, FusionSettings
from routing.types import Ask

pytestmark = pytest.mark.anyio
NO_REPAIR = FusionSettings(repair=False)
CUT = said("Let me think about", finish_reason="length")


EXPLAINED = {  # what the members say or do, how they are asked; what the receipt then says
    "agreed": ({"alpha": "(B)", "beta": "(B)"}, {}, "2 of 2 agree"),
    "majority": ({"alpha": "(B)", "beta": "(B)", "gamma": "(C)"}, {"effort": "thorough"}, "2 of 3 agree"),
    "split": ({"alpha": "(A)", "beta": "(B)", "gamma": "(C)"}, {}, "no answer has enough of the votes; .*thorough"),
    "single": ({"alpha": "(B)"}, {}, "its own answer.*; name models to hear more than one"),
    "degraded": (
        {"alpha": Unavailable("down"), "beta": "(B)"},
        {},
        "alpha/m failed.*; ask again, or name other models",
    ),
    "nothing found": ({"alpha": "Who knows?", "beta": "Not I."}, {}, "none of 2 gave an answer.*say in the prompt how"),
    "cut off": ({"alpha": CUT, "beta": CUT}, {}, r"none of 2 gave.*\(2 cut off before it\).*raise max_cost_usd"),
    "mixed": ({"alpha": CUT, "beta": ContentRefused("no")}, {}, r"\(1 cut off before it, 1 refused\)"),
    "withheld": ({"alpha": "(A)", "beta": "(B)"}, {"on_low": "abstain"}, "withheld: only 1 of 2 agree.*on_low=.flag"),
}


@pytest.mark.parametrize("outcome", EXPLAINED)
async def test_the_receipt_says_what_came_of_it_why_and_what_to_do_next(house, outcome):
    members, facts, says = EXPLAINED[outcome]
    panel = house(members, settings=NO_REPAIR)
    result = await panel.fuse(**facts)
    assert result.status == (
        outcome if outcome in ("agreed", "majority", "split", "single", "degraded") else "abstained"
    )
    assert re.search(says, result.receipt.reasoning), result.receipt.reasoning
    if result.status == "abstained":
        assert re.search(says, result.summary), result.summary


async def test_a_receipt_of_a_fuse_holds_no_word_of_an_answer(house):
    panel = house({"alpha": "ANSWER: Jupiter", "beta": "ANSWER: Neptune", "gamma": "ANSWER: Saturn"})
    result = await panel.fuse("The largest planet?", answer="label")
    assert "Jupiter" in result.summary + str(result.dissent) + str(result.answer)
    assert not re.search("Jupiter|Neptune|Saturn", result.receipt.reasoning)


async def test_explain_says_that_nobody_was_asked_and_who_would_be(house):
    panel = house({"alpha": "B", "beta": "C"})
    plan = await panel.fusion.explain(FuseAsk(Ask(Request((Message("user", (Text("2+2?"),)),)))))
    assert (plan.status, plan.stopped.rule, plan.stopped.calls_saved) == ("planned", "nobody was asked", 0)
    assert plan.summary == plan.receipt.reasoning and plan.summary.startswith("would ask alpha/m, beta/m")
