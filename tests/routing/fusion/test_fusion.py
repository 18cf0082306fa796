"""One fuse from end to end: the real manager, simulated providers, virtual time."""

import pytest
from fusion_house import said

from providers.errors import ContentRefused, Unavailable
from providers.simulator import Said
from providers.types import Price, Usage
from routing.errors import BudgetExceeded, InvalidRequest, NoModel, ProvidersFailed, Refused
from routing.fusion.ask import FusionSettings

pytestmark = pytest.mark.anyio
NO_REPAIR = FusionSettings(repair=False)


async def test_two_that_agree_are_enough_and_the_result_says_what_that_saved(house):
    panel = house({"alpha": "The answer is (B).", "beta": "The answer is (B).", "gamma": "The answer is (C)."})
    result = await panel.fuse()
    assert (result.answer, result.status, result.agreement.pattern) == ("B", "agreed", "2/2")
    assert len(panel.asked) == 2
    assert (result.stopped.calls_saved, result.stopped.rule) == (1, "agree2")
    assert result.stopped.usd_saved > 0
    assert result.confidence.basis == "default-table"
    assert 0.85 < result.confidence.value < 0.92
    assert not result.needs_review


async def test_a_dissenter_is_named_with_its_answer(house):
    panel = house(
        {"alpha": "The answer is (B).", "beta": "The answer is (B).", "gamma": "So it must be.\nThe answer is (C)."}
    )
    result = await panel.fuse(effort="thorough")
    assert (result.answer, result.status, result.agreement.pattern) == ("B", "majority", "2/3")
    (dissent,) = result.dissent
    assert (dissent.answer, dissent.models) == ("C", ("gamma/m",))
    assert "must be" in dissent.excerpt
    assert "gamma/m says C" in result.summary


async def test_the_receipt_is_that_of_the_whole_tree(house):
    panel = house({"alpha": "B", "beta": "C", "gamma": "(C)"}, settings=NO_REPAIR)
    result = await panel.fuse()
    assert [a.provider for a in result.receipt.attempts] == ["alpha", "beta", "gamma"]
    assert result.receipt.usage.output == 150
    assert result.receipt.cost_usd == result.cost_usd
    assert result.receipt.id == result.id


async def test_figures_are_told_as_exact_as_they_are_worth_and_an_answer_as_it_was_given(house):
    answer = said('{"rate": 0.1234567890123}', 1 / 3, usage=Usage(input=100, output=50, cost_usd=0.1))
    panel = house(dict.fromkeys(("alpha", "beta", "gamma"), answer))
    result = await panel.fuse("The rate?", answer="json", effort="thorough", request={"schema": {"type": "object"}})
    told = result.told()
    assert told["answer"] == {"rate": 0.1234567890123}
    assert (result.cost_usd, told["cost_usd"]) == (0.1 + 0.1 + 0.1, 0.3)
    exact = [result.latency_s, result.confidence.value, *(one.latency_s for one in result.candidates)]
    shown = [told["latency_s"], told["confidence"]["value"], *(one["latency_s"] for one in told["candidates"])]
    assert shown == [round(figure, 4) for figure in exact]


async def test_one_failed_member_degrades_and_is_never_silent(house):
    panel = house({"alpha": Unavailable("down"), "beta": "The answer is (B).", "gamma": "The answer is (B)."})
    result = await panel.fuse(effort="thorough")
    assert (result.answer, result.status) == ("B", "degraded")
    assert result.needs_review
    assert any("alpha/m failed" in reason for reason in result.reasons)


async def test_a_panel_of_two_that_lost_one_is_no_plain_call(house):
    panel = house({"alpha": "The answer is (B).", "beta": Unavailable("down")})
    result = await panel.fuse()
    assert (result.answer, result.status, result.needs_review) == ("B", "degraded", True)


async def test_when_all_fail_it_is_an_error_with_every_reason(house):
    panel = house({"alpha": Unavailable("down"), "beta": Unavailable("down")})
    with pytest.raises(ProvidersFailed) as failed:
        await panel.fuse()
    assert "alpha/m" in failed.value.message
    assert "beta/m" in failed.value.message
    assert len(failed.value.receipt.attempts) >= 2


async def test_when_all_refuse_it_is_a_refusal(house):
    panel = house({"alpha": ContentRefused("no"), "beta": ContentRefused("no")})
    with pytest.raises(Refused):
        await panel.fuse()


async def test_when_everybody_abstains_no_answer_is_invented(house):
    panel = house({"alpha": "I cannot say.", "beta": "Who knows?"}, settings=NO_REPAIR)
    result = await panel.fuse()
    assert (result.answer, result.status, result.confidence.value, result.needs_review) == (
        None,
        "abstained",
        0.0,
        True,
    )


async def test_a_star_with_weaker_company_is_asked_alone(house):
    panel = house(
        {"star": "The answer is (A).", "weak": "(B)"}, cards={"star": {"quality": 0.97}, "weak": {"quality": 0.7}}
    )
    result = await panel.fuse()
    assert (result.answer, result.status, panel.asked) == ("A", "single", ["star"])
    assert any(excluded["model"] == "weak/m" for excluded in result.panel.excluded)


async def test_the_same_model_at_two_providers_has_one_vote(house):
    twins = {"alpha": {"group": "llama-70b"}, "beta": {"group": "Llama-70B"}}
    panel = house(
        {"alpha": "The answer is (C).", "beta": "The answer is (C).", "gamma": "The answer is (B)."}, cards=twins
    )
    result = await panel.fuse(models=("alpha/m", "beta/m", "gamma/m"), effort="thorough")
    assert result.agreement.asked == 2
    assert any("one vote" in excluded["why"] for excluded in result.panel.excluded)


async def test_naming_nobody_is_the_callers_fault(house):
    with pytest.raises(InvalidRequest, match="empty"):
        await house({"alpha": "B"}).fuse(models=())


async def test_a_duplicate_is_asked_once(house):
    panel = house({"alpha": "The answer is (B).", "beta": "The answer is (B)."})
    await panel.fuse(models=("alpha/m", "alpha/m", "beta/m"))
    assert sorted(panel.asked) == ["alpha", "beta"]


async def test_fifty_models_are_cut_to_max_calls(house):
    members = {f"p{n}": f"The answer is ({'ABC'[n % 3]})." for n in range(50)}
    panel = house(members)
    result = await panel.fuse(models=tuple(f"p{n}/m" for n in range(50)), effort="thorough", max_calls=7)
    assert len(panel.asked) == 7
    assert sum("max_calls" in e["why"] for e in result.panel.excluded) == 43


async def test_an_unknown_model_is_left_out_with_its_reason_and_alone_it_is_an_error(house):
    panel = house({"alpha": "The answer is (B)."})
    result = await panel.fuse(models=("alpha/m", "nobody-has-this"))
    assert [e["model"] for e in result.panel.excluded] == ["nobody-has-this"]
    with pytest.raises(NoModel):
        await panel.fuse(models=("nobody-has-this",))


async def test_a_cut_off_answer_is_an_abstention_unless_its_answer_field_is_complete(house):
    cut = {"finish_reason": "length"}
    panel = house(
        {"alpha": said("Let me see, the answer is (B) or", **cut), "beta": said('{"answer": "C", "why": "be', **cut)}
    )
    result = await panel.fuse(effort="thorough")
    assert [c.status for c in result.candidates] in (["truncated", "answered"], ["answered", "truncated"])
    assert result.answer == "C"


async def test_stragglers_are_cancelled_and_their_cost_is_counted(house):
    slow = said("The answer is (B).", seconds=50.0)
    panel = house({"alpha": "The answer is (B).", "beta": "The answer is (B).", "gamma": slow})
    result = await panel.fuse(effort="thorough")
    assert (result.answer, result.agreement.pattern) == ("B", "2/2")
    assert result.latency_s < 5
    assert [c.status for c in result.candidates] == ["answered", "answered", "cancelled"]
    assert "cancelled" in [a.outcome for a in result.receipt.attempts]


async def test_the_deadline_ends_the_poll_and_what_is_there_is_fused(house):
    panel = house({"alpha": "The answer is (B).", "beta": said("The answer is (B).", seconds=90.0)})
    result = await panel.fuse(ask={"deadline_s": 5.0})
    assert (result.answer, result.status, result.needs_review) == ("B", "degraded", True)


async def test_a_tie_does_not_depend_on_who_answers_first(house):
    for fast, late in (("alpha", "beta"), ("beta", "alpha")):
        seconds = {fast: 1.0, late: 2.0}
        panel = house(
            {
                name: said(f"The answer is ({letter}).", seconds[name])
                for name, letter in (("alpha", "A"), ("beta", "B"))
            },
            cards={"alpha": {"quality": 0.8}, "beta": {"quality": 0.75}},
        )
        assert (await panel.fuse()).answer == "A"


async def test_an_answer_that_was_not_found_is_dug_out_by_one_cheap_call(house):
    def cheap(request):
        return "ANSWER: B" if "copy it" in request.messages[-1].text else "The answer is (C)."

    panel = house(
        {"alpha": "It is the second of them, I am sure.", "cheap": cheap},
        cards={"alpha": {"quality": 0.9}, "cheap": {"quality": 0.85, "price": Price(0.1, 0.2)}},
    )
    result = await panel.fuse()
    assert result.answer == "B"
    assert panel.asked == ["alpha", "cheap", "cheap"]


async def test_low_confidence_escalates_to_the_rest_of_the_panel(house):
    letters = {"alpha": "A", "beta": "B", "gamma": "B", "delta": "A", "epsilon": "A"}
    panel = house({name: f"The answer is ({letter})." for name, letter in letters.items()})
    result = await panel.fuse(on_low="escalate")
    assert len(panel.asked) == 5
    assert (result.answer, result.agreement.pattern) == ("A", "3/5")
    assert any("escalated" in reason for reason in result.reasons)


async def test_low_confidence_abstains_when_told_to(house):
    panel = house({"alpha": "The answer is (A).", "beta": "The answer is (B)."})
    result = await panel.fuse(on_low="abstain")
    assert (result.answer, result.status) == (None, "abstained")


async def test_choices_come_back_as_the_caller_wrote_them(house):
    panel = house({"alpha": "ANSWER: B", "beta": "The answer is Jupiter."})
    result = await panel.fuse("The largest planet?", answer="choice", choices=("Mars", "Jupiter"))
    assert result.answer == "Jupiter"
    assert "B) Jupiter" in panel.requests["alpha"].messages[-1].text


async def test_prose_is_collected_for_the_host_to_write(house):
    panel = house({"alpha": "Rome was a city.", "beta": "Rome was an empire."})
    result = await panel.fuse("Tell me about Rome.")
    assert (result.method, result.answer, result.confidence.value) == ("collect", None, None)
    assert {c.answer for c in result.candidates} == {"Rome was a city.", "Rome was an empire."}


async def test_a_refusal_of_one_member_is_an_abstention(house):
    panel = house({"alpha": ContentRefused("no"), "beta": "The answer is (B).", "gamma": "The answer is (B)."})
    result = await panel.fuse()
    assert (result.answer, result.agreement.pattern) == ("B", "2/3")
    assert "refused" in [c.status for c in result.candidates]


async def test_explain_calls_nobody(house):
    from providers.types import Message, Request, Text
    from routing.fusion.ask import FuseAsk
    from routing.types import Ask

    panel = house({"alpha": "B", "beta": "C"})
    plan = await panel.fusion.explain(FuseAsk(Ask(Request((Message("user", (Text("2+2?"),)),)))))
    assert panel.asked == []
    assert (plan.kind, plan.method, len(plan.panel.chosen)) == ("number", "weighted", 2)


def test_the_fixture_speaks_as_told():
    assert isinstance(said("x"), Said)
    assert BudgetExceeded.code == "budget_exceeded"
