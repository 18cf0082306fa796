"""Tariffs: dates, tiers, hours, and money that is exact."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalog import cost_nano, price, worst_nano
from providers.types import Listed, Price, PriceTier, Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-6-astra", (10, 50, 1, 12.5)),
        ("openai", "gpt-4o", (2.5, 10, 1.25, None)),
        ("anthropic", "claude-opus-5-5", (4, 20, 0.2, 5)),
        ("google", "gemini-3.8-flash", (0.75, 3.75, 0.075, None)),
        ("xai", "grok-4.7", (2, 6, 0.5, None)),
        ("mistral", "mistral-small-latest", (0.15, 0.6, 0.015, None)),
        ("cohere", "command-a-03-2025", (2.5, 10, None, None)),
    ],
)
def test_the_price_is_the_vendors_of_november_2026(provider, model, expected):
    found = price(provider, model, NOW)
    assert (found.input, found.output, found.cached_input, found.cache_write) == expected
    assert "genai-prices" in found.source


def test_a_dated_id_that_a_provider_returns_has_the_price_of_its_model():
    assert price("openai", "gpt-4o-2024-08-06", NOW).output == 10
    assert price("openai", "gpt-6-astra-2026-09-01", NOW).output == 50
    assert price("anthropic", "claude-haiku-5-5-20261001", NOW).output == 0.5


def test_unknown_is_unpriced_and_never_zero():
    assert price("openai", "gpt-99-nobody", NOW) is None
    assert price("nobody", "gpt-4o", NOW) is None
    assert price("huggingface", "openai/gpt-oss-120b", NOW) is None


def test_the_hugging_face_router_is_priced_when_the_provider_behind_it_is_named():
    assert price("huggingface", "openai/gpt-oss-120b:groq", NOW).output > 0


def test_azure_bills_the_vendors_list_price():
    assert price("azure", "gpt-6-luna", NOW).output == 0.5


def test_local_engines_are_free_and_say_so():
    assert price("ollama", "anything", NOW) == Price(0.0, 0.0, source="local")


@pytest.mark.parametrize(
    ("moment", "output"),
    [
        (datetime(2026, 11, 20, 2, tzinfo=UTC), 3.96),  # Friday, peak
        (datetime(2026, 11, 20, 5, tzinfo=UTC), 1.98),  # Friday, between the peaks
        (datetime(2026, 11, 20, 9, 59, tzinfo=UTC), 3.96),
        (datetime(2026, 11, 20, 10, 0, tzinfo=UTC), 1.98),
        (datetime(2026, 11, 21, 2, tzinfo=UTC), 1.98),  # Saturday
        (datetime(2026, 8, 1, 12, tzinfo=UTC), 0.87),  # before the new tariff
    ],
)
def test_deepseek_is_dearer_on_weekday_mornings(moment, output):
    assert price("deepseek", "deepseek-v4-pro", moment).output == output


def test_a_moment_in_another_zone_is_the_same_moment():
    from datetime import timezone

    beijing = datetime(2026, 11, 20, 10, tzinfo=timezone(timedelta(hours=8)))
    assert price("deepseek", "deepseek-v4-pro", beijing).output == 3.96


def test_a_long_prompt_pays_the_tier_for_all_its_tokens():
    luna = price("openai", "gpt-6-luna", NOW)
    assert cost_nano(luna, Usage(input=272_000)) == 272_000 * 100
    assert cost_nano(luna, Usage(input=272_001)) == 272_001 * 200
    assert cost_nano(luna, Usage(input=272_001, output=10)) == 272_001 * 200 + 10 * 750


def test_cached_and_written_tokens_are_part_of_the_input():
    opus = price("anthropic", "claude-opus-5-5", NOW)
    usage = Usage(input=1000, cached_input=600, cache_write=300, output=50)
    assert cost_nano(opus, usage) == 100 * 4000 + 600 * 200 + 300 * 5000 + 50 * 20_000


def test_without_a_cache_tariff_cached_tokens_cost_what_input_costs():
    assert cost_nano(Price(2.0, 4.0), Usage(input=10, cached_input=10, cache_write=10)) == 20_000


def test_fractions_of_a_nano_dollar_round_up():
    assert cost_nano(Price(0.003625, 0.0), Usage(input=1)) == 4
    assert cost_nano(Price(0.0000001, 0.0), Usage(input=1)) == 1


def test_impossible_counts_cost_nothing_extra():
    assert cost_nano(Price(1.0, 1.0), Usage(input=-5, output=-5, cached_input=99, cache_write=99)) == 0


def test_a_live_list_beats_the_snapshot_but_keeps_its_tiers_when_they_agree():
    live = Listed("grok-4.7", input_price=2.0, output_price=6.0)
    assert price("xai", "grok-4.7", NOW, live).tiers
    assert price("xai", "grok-4.7", NOW, Listed("grok-4.7", input_price=1.0, output_price=3.0)).input == 1.0


money = st.floats(0, 500, allow_nan=False).map(lambda x: round(x, 6))
tokens = st.integers(0, 3_000_000)


@st.composite
def tariffs(draw):
    tiers = draw(
        st.lists(
            st.builds(PriceTier, st.integers(1, 2_000_000), money, money, st.none() | money, st.none() | money),
            max_size=2,
        )
    )
    return Price(draw(money), draw(money), draw(st.none() | money), draw(st.none() | money), tuple(tiers))


@given(tariffs(), tokens, tokens, tokens, tokens)
def test_the_cost_is_what_decimals_say(tariff, inputs, output, hit, write):
    hit = min(hit, inputs)
    write = min(write, inputs - hit)
    step = max((t for t in tariff.tiers if t.above <= inputs), key=lambda t: t.above, default=tariff)
    rate = lambda x: Decimal(repr(float(x)))
    exact = (inputs - hit - write) * rate(step.input) + output * rate(step.output)
    exact += hit * rate(step.input if step.cached_input is None else step.cached_input)
    exact += write * rate(step.input if step.cache_write is None else step.cache_write)
    expected = int((exact * 1000).to_integral_value(ROUND_CEILING))
    assert cost_nano(tariff, Usage(input=inputs, output=output, cached_input=hit, cache_write=write)) == expected


@given(tariffs(), tokens, tokens, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_nothing_costs_more_than_the_worst_case(tariff, inputs, output, a, b, c, d):
    used = int(inputs * a)
    hit = int(used * b)
    usage = Usage(input=used, output=int(output * c), cached_input=hit, cache_write=int((used - hit) * d))
    if all((s.cached_input or 0) <= s.input for s in (tariff, *tariff.tiers)):
        assert cost_nano(tariff, usage) <= worst_nano(tariff, inputs, output)
