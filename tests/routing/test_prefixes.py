"""Prompts that begin alike go where their beginning was read lately: among equals, by evidence, and never by force."""

from dataclasses import replace

import pytest

from providers.catalog import cost_nano
from providers.dialects import load
from providers.simulator import Conduct
from providers.types import Message, ModelCard, Price, Request, Text
from routing.balancer import RoundRobin
from routing.costs.savings import savings
from routing.manager import ProviderManager
from routing.ports import InOrder
from routing.prefixes import BUSY, PREFIX, TTL_S, Lean, Prefixes, prefix
from routing.signals import Traffic
from routing.store.books import Line
from tests.doubles import Listed, ask, conduct, sim
from tests.routing.money import Clock

pytestmark = pytest.mark.anyio
LONG = "You know the following rules by heart. " * 120


class Still(Traffic):
    """Learns no latencies: who is as good as whom does not depend on how loaded this machine is."""

    def answered(self, name, latency_s, ttft_s, tokens) -> None:
        del name, latency_s, ttft_s, tokens


HOUSE = Listed([sim("a"), sim("b"), sim("c")])


def long(text: str = "What is 2+3?", **facts):
    return ask(text, request={"system": LONG}, **facts)


def turn(text: str, role="user") -> Message:
    return Message(role, (Text(text),))


async def test_prompts_that_begin_alike_stay_where_they_were_read_and_the_reason_says_so():
    manager = ProviderManager(HOUSE, balancer=RoundRobin(clock=Clock()), traffic=Still(Clock()))
    first = (await manager.generate(long("one"))).receipt
    later = [(await manager.generate(long(f"question {n}"))).receipt for n in range(6)]
    assert {receipt.provider for receipt in later} == {first.provider}
    assert all("read this prompt's beginning" in receipt.reasoning for receipt in later)
    assert "beginning" not in first.reasoning


async def test_short_prompts_take_turns_as_ever():
    manager = ProviderManager(HOUSE, balancer=RoundRobin(clock=Clock()), traffic=Still(Clock()))
    receipts = [(await manager.generate(ask(f"question {n}"))).receipt for n in range(6)]
    assert len({receipt.provider for receipt in receipts}) == 3
    assert not any("beginning" in receipt.reasoning for receipt in receipts)


async def test_a_holder_that_fails_is_left():
    house = Listed([sim("a", Conduct()), sim("b")])
    manager = ProviderManager(house, traffic=Still(Clock()))
    assert (await manager.generate(long())).receipt.provider == "a"
    house.steps = ((replace(sim("a", conduct("status:503"))), sim("b")),)
    assert (await manager.generate(long("another"))).receipt.provider == "b"
    assert (await manager.generate(long("a third"))).receipt.provider == "b"


async def test_what_was_read_too_long_ago_counts_for_nothing():
    clock = Clock()
    prefixes = Prefixes(clock)
    key = prefix(long().request)
    assert prefixes.holder(key) is None
    prefixes.answered(key, "a/m")
    clock.now += TTL_S - 1
    assert prefixes.holder(key) == ("a/m", TTL_S - 1)
    clock.now += 2
    assert prefixes.holder(key) is None


def test_of_a_short_prompt_nothing_is_remembered():
    prefixes, request = Prefixes(Clock()), ask().request
    prefixes.answered(prefix(request), "a/m")
    assert prefixes.holder(prefix(request)) is None


def test_who_is_no_equal_or_too_busy_does_not_go_first():
    a, b = sim("a"), sim("b")
    lean = Lean(InOrder(), ("c/m", 1.0), {})
    assert lean.order([a, b]) == [a, b] and not lean.evidence
    lean = Lean(InOrder(), ("b/m", 1.0), {"b/m": BUSY + 1})
    assert lean.order([a, b]) == [a, b] and not lean.evidence
    lean = Lean(InOrder(), ("b/m", 1.0), {"b/m": BUSY})
    assert lean.order([a, b]) == [b, a] and "b/m read" in lean.evidence


def test_only_what_begins_alike_is_alike():
    assert prefix(Request((turn("x" * PREFIX),))) == prefix(Request((turn("x" * PREFIX + "y"),)))
    assert prefix(Request((turn("x" * PREFIX),))) != prefix(Request((turn("y" + "x" * PREFIX),)))
    assert prefix(Request((turn("short"),))) == ""


def test_marks_are_sent_only_to_whom_holds_the_prefix_and_a_key_to_all():
    prefixes, request = (
        Prefixes(Clock()),
        replace(long().request, messages=(turn("q"), turn("a", "assistant"), turn("r"))),
    )
    key = prefix(request)
    first = prefixes.hinted(request, key, "a/m")
    assert first.prompt_cache_key and not first.cache_system
    assert prefix(first) == key
    prefixes.answered(key, "a/m")
    again, elsewhere = prefixes.hinted(request, key, "a/m"), prefixes.hinted(request, key, "b/m")
    assert again.cache_system and again.messages[1].parts[-1].cache_until_here
    assert not again.messages[2].parts[-1].cache_until_here
    assert not elsewhere.cache_system and elsewhere.prompt_cache_key == first.prompt_cache_key
    assert prefixes.hinted(replace(request, prompt_cache_key="mine"), key, "a/m").prompt_cache_key == "mine"
    assert prefixes.hinted(ask().request, "", "a/m").prompt_cache_key is None


def test_the_marks_change_no_byte_of_what_is_cached():
    """Anthropic: `cache_control` beside the same text; OpenAI: `prompt_cache_key` beside the same messages."""
    prefixes, request = (
        Prefixes(Clock()),
        replace(long().request, messages=(turn("q"), turn("a", "assistant"), turn("r"))),
    )
    key = prefix(request)
    plain = prefixes.hinted(request, key, "a/m")
    prefixes.answered(key, "a/m")
    marked = prefixes.hinted(request, key, "a/m")
    card = ModelCard("m", flags=frozenset({"prompt_cache_key"}))
    one, other = (load("anthropic").render(r, card, stream=False).body for r in (plain, marked))
    assert one["system"] == LONG
    assert other["system"] == [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    assert str(other["messages"]).count("cache_control") == 1
    one, other = (load("openai_chat").render(r, card, stream=False).body for r in (plain, marked))
    assert one == other and one["prompt_cache_key"].startswith("plenum-")
    assert one["messages"][0]["content"] == LONG


def test_what_prompt_caches_saved_is_told_and_what_writing_cost_counts_against_it():
    deployment = sim("a", price=Price(10.0, 20.0, cached_input=1.0, cache_write=12.5))
    facts = dict.fromkeys(Line._fields, 0) | {"provider": "a", "model": "m", "asked": "m", "simulated": False}
    line = Line(**{**facts, "calls": 2, "input": 4000, "output": 10, "cached_input": 2000})
    assert savings([line], {}, [deployment], cost_nano).prompt_cache_usd == pytest.approx(2000 * 9e-6)
    line = line._replace(cached_input=0, cache_write=2000)
    assert savings([line], {}, [deployment], cost_nano).prompt_cache_usd == pytest.approx(-2000 * 2.5e-6)
