"""The life of one request, on the simulator in process, in virtual time."""

import anyio
import pytest
from doubles import Listed, ask, conduct, sim

from providers.simulator import Conduct, parse_fault
from providers.simulator.virtual import VirtualLoop
from providers.types import Price
from routing.errors import (
    BudgetExceeded,
    DeadlinePassed,
    InvalidRequest,
    Limited,
    NoModel,
    PromptTooLong,
    ProvidersFailed,
)
from routing.events import Progressed
from routing.guard import Guards
from routing.manager import ProviderManager
from routing.ports import NoPurse
from routing.prepared import Prepared
from routing.settings import RoutingSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


def manager(*steps, **known):
    known.setdefault("clock", anyio.current_time)
    return ProviderManager(Listed(*steps), **known)


async def served(house, asked=None, times=1):
    return [(await house.generate(asked or ask())).receipt.provider for _ in range(times)]


async def test_an_answer_comes_with_a_complete_receipt_and_is_told():
    events = []
    result = await manager([sim("a", conduct(latency_s=0.5))], observer=events.append).generate(ask())
    receipt = result.receipt
    assert "5" in result.answer.text
    assert (receipt.provider, receipt.model, receipt.finish_reason, receipt.strategy) == ("a", "m", "stop", "balanced")
    assert [attempt.outcome for attempt in receipt.attempts] == ["ok"]
    assert receipt.ttft_s == pytest.approx(0.5)
    assert receipt.estimated_cost_usd > 0
    assert "max_tokens was not given: 16,384 was sent" in receipt.warnings
    assert [type(event).__name__ for event in events] == ["Decided", "AttemptStarted", "AttemptEnded", "Answered"]


async def test_the_first_providers_stream_is_cut_and_the_caller_sees_one_whole_answer():
    told: list[Progressed] = []
    pair = [sim("cut", conduct("cut_stream"), priority=1), sim("whole")]
    result = await manager(pair).generate(ask("Tell me of a river."), told.append)
    assert [(a.provider, a.outcome) for a in result.receipt.attempts] == [("cut", "truncated"), ("whole", "ok")]
    last = max(progress.draft for progress in told)
    assert "".join(p.text for p in told if p.draft == last) == result.answer.text
    assert any(p.text for p in told if p.draft < last)


async def test_a_live_stream_hands_over_at_the_first_token_and_receipts_at_the_end():
    pair = [sim("dead", conduct("status:503"), priority=1), sim("alive", conduct(latency_s=1.0, tokens_per_s=10))]
    async with manager(pair).stream(ask()) as stream:
        assert anyio.current_time() == pytest.approx(1.1, abs=0.2)
        with pytest.raises(RuntimeError, match="has not ended"):
            stream.result
        text = "".join([delta.text async for delta in stream])
    assert text == stream.result.answer.text
    assert stream.result.receipt.provider == "alive"


async def test_leaving_a_live_stream_early_is_nobodys_fault():
    guard = Guards(clock=anyio.current_time)
    house = manager([sim("a", conduct(tokens_per_s=10))], guard=guard)
    async with house.stream(ask()) as stream:
        await anext(stream)
    assert all(barrier.failures == 0 for barrier in guard.show())
    assert house.traffic.outstanding["a/m"] == 0
    assert house.traffic.success == {}


async def test_higher_tiers_go_first_whatever_the_strategy_thinks():
    tiers = [sim("cheap", price=Price(0.1, 0.1)), sim("dear", price=Price(9, 9), priority=2)]
    assert await served(manager(tiers), ask(strategy="cost")) == ["dear"]


async def test_what_another_beats_in_everything_is_moved_behind_but_never_out():
    tier = [sim("worse", price=Price(5, 5)), sim("better", price=Price(1, 1))]
    receipt = await manager(tier).explain(ask(strategy="quality"))
    assert [name for name, _ in receipt.candidates] == ["better/m", "worse/m"]


async def test_equivalents_and_fallbacks_come_in_their_order_with_a_warning():
    house = manager([sim("own", conduct("status:500"))], [sim("equivalent")])
    receipt = (await house.generate(ask(model="m"))).receipt
    assert receipt.fallbacks == ("equivalent/m",)
    assert any("m could not answer; equivalent/m answered" in warning for warning in receipt.warnings)


async def test_explain_decides_and_prices_and_calls_nobody():
    house = manager([sim("a", conduct("status:500")), sim("b", price=Price(3, 6))])
    receipt = await house.explain(ask(strategy="cost"))
    assert (receipt.provider, receipt.attempts, receipt.cost_usd) == ("a", (), 0.0)
    assert [name for name, _ in receipt.candidates] == ["a/m", "b/m"]
    assert receipt.estimated_cost_usd == pytest.approx((9 * 1 + 2_000 * 2) / 1e6, rel=0.01)
    assert "cost" in receipt.reasoning


async def test_an_unknown_strategy_names_those_there_are():
    with pytest.raises(InvalidRequest) as refused:
        await manager([sim("a")]).generate(ask(strategy="cheapest"))
    assert "cost" in refused.value.hint
    assert refused.value.receipt is not None


async def test_when_all_are_excluded_the_reasons_are_listed_and_counted():
    house = manager([sim(f"p{n}", price=Price(1, 80)) for n in range(25)])
    with pytest.raises(NoModel) as refused:
        await house.generate(ask())
    assert refused.value.receipt.excluded_count == 25
    assert len(refused.value.receipt.excluded) == 20
    assert "routing.max_price" in refused.value.message


async def test_an_open_circuit_is_waited_for_within_the_deadline():
    """Five failures open it for five seconds; the sixth ask comes through a probe and needs no caller's retry."""
    ill = Conduct(script=(parse_fault("hang"),) * 5)
    house = manager([sim("only", ill, silence_s=6.0)], guard=Guards(clock=anyio.current_time))
    for _ in range(5):
        with pytest.raises(Exception, match="no answer after"):
            await house.generate(ask())
    begun = anyio.current_time()
    assert await served(house) == ["only"]
    assert 4.0 <= anyio.current_time() - begun <= 6.0


async def test_beyond_the_deadline_it_is_probed_once_then_refused_with_the_time_it_returns():
    house = manager([sim("only", conduct("retry_after:300"))], guard=Guards(clock=anyio.current_time))
    with pytest.raises(Limited):
        await house.generate(ask())
    with pytest.raises(Limited) as refused:
        await house.generate(ask(deadline_s=10.0))
    assert refused.value.after == pytest.approx(300, abs=5)
    assert refused.value.receipt.attempts == ()
    assert "returns in" in refused.value.message


async def test_a_callers_short_deadline_still_leaves_time_for_a_second_provider():
    pair = [sim("mute", conduct("hang"), priority=1), sim("quick", conduct(latency_s=0.1))]
    result = await manager(pair).generate(ask(max_latency_s=2.0))
    assert result.receipt.provider == "quick"
    assert result.receipt.latency_s < 2.0


async def test_a_prompt_that_fits_nobody_is_refused_before_anybody_is_asked():
    with pytest.raises(PromptTooLong) as refused:
        await manager([sim("a")]).generate(ask("word " * 200_000))
    assert refused.value.receipt.attempts == ()


async def test_money_for_too_little_output_is_a_refusal_not_a_stump():
    with pytest.raises(BudgetExceeded) as refused:
        await manager([sim("a", price=Price(10, 30))]).generate(ask(max_cost_usd=0.0001))
    assert "max_cost_usd" in refused.value.hint


async def test_output_is_limited_to_what_the_money_affords_and_that_is_said():
    result = await manager([sim("a", price=Price(1, 20))]).generate(ask(max_cost_usd=0.02))
    said = next(warning for warning in result.receipt.warnings if "max_tokens was not given" in warning)
    assert 256 <= int(said.split(": ")[1].split()[0].replace(",", "")) < 1_000


async def test_what_the_purse_refuses_here_may_be_affordable_there():
    class Tight(NoPurse):
        def hold(self, bill):
            if bill.deployment.provider == "dear":
                raise BudgetExceeded("no")
            return super().hold(bill)

    pair = [sim("dear", priority=1), sim("cheap")]
    receipt = (await manager(pair, purse=Tight()).generate(ask())).receipt
    assert (receipt.provider, len(receipt.attempts)) == ("cheap", 1)
    assert [e.deployment.provider for e in receipt.excluded] == ["dear"]


async def test_attempts_share_one_deadline():
    trio = [sim(name, conduct("hang"), silence_s=500.0) for name in "abc"]
    begun = anyio.current_time()
    with pytest.raises(Exception, match="no answer"):
        await manager(trio, settings=RoutingSettings(deadline_s=30.0)).generate(ask())
    assert anyio.current_time() - begun <= 30.5


async def test_a_providers_own_bug_is_its_failure_and_not_the_callers():
    class Buggy:
        def open(self, request, model):
            return self

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        answer, headers = None, {}

        async def __aiter__(self):
            raise KeyError("choices")
            yield

    buggy = sim("buggy", priority=1)
    object.__setattr__(buggy, "opener", Buggy())
    receipt = (await manager([buggy, sim("well")]).generate(ask())).receipt
    assert receipt.attempts[0].outcome == "malformed"
    assert "choices" not in receipt.attempts[0].reason
    with pytest.raises(ProvidersFailed):
        await manager([buggy]).generate(ask())


async def test_a_deadline_that_passes_before_anybody_is_asked_is_told_with_a_receipt():
    async def never(asked):
        await anyio.sleep_forever()
        return asked

    events = []
    house = manager([sim("a")], recall=Prepared([never]), observer=events.append)
    with pytest.raises(DeadlinePassed, match="no answer within 3 s") as told:
        await house.generate(ask(deadline_s=3.0))
    assert told.value.receipt.attempts == ()
    assert anyio.current_time() == pytest.approx(3.0, abs=0.3)
    assert [type(event).__name__ for event in events] == ["Failed"]
