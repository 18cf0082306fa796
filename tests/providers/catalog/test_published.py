"""The price table a user may fetch: what is read of it, what is believed, and what it changes."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalog import price
from providers.catalog.published import LEAST, NotATable, Published, published, restored, saved

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = date(2026, 11, 21)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def document(**models: dict) -> dict:
    many = {f"m{i}": {"cost": {"input": 1, "output": 2}} for i in range(LEAST)}
    return {
        "openai": {"models": {**many, **models}},
        "somebody": {"models": {"x": {"cost": {"input": 1, "output": 1}}}},
    }


def test_a_newer_price_holds_and_says_what_the_bundled_table_says() -> None:
    table = published(document(**{"gpt-4.1": {"cost": {"input": 3, "output": 9, "cache_read": 0.75}}}), TODAY)
    found = price("openai", "gpt-4.1", NOON, published=table)
    assert found is not None
    assert (found.input, found.output, found.cached_input) == (3, 9, 0.75)
    assert found.source == "models.dev 2026-11-21"
    assert found.other == "genai-prices 0.2.3 says $2 and $8"


def test_where_both_agree_the_bundled_tariff_stays_with_its_tiers() -> None:
    bundled = price("openai", "gpt-6.1-sol", NOON)
    assert bundled is not None
    table = published(document(**{"gpt-6.1-sol": {"cost": {"input": bundled.input, "output": bundled.output}}}), TODAY)
    assert price("openai", "gpt-6.1-sol", NOON, published=table) == bundled
    assert bundled.other == ""


def test_the_price_of_another_hour_is_no_disagreement() -> None:
    peak = datetime(2026, 11, 20, 2, tzinfo=UTC)
    dear, cheap = price("deepseek", "deepseek-v4-pro", peak), price("deepseek", "deepseek-v4-pro", NOON)
    assert dear is not None and cheap is not None and dear.input > cheap.input
    table = Published(TODAY, {"deepseek": {"deepseek-v4-pro": (dear.input, dear.output, None, None)}})
    assert price("deepseek", "deepseek-v4-pro", NOON, published=table) == cheap


def test_a_model_the_bundle_does_not_price_is_priced() -> None:
    assert price("openai", "m3", NOON) is None
    found = price("openai", "m3", NOON, published=published(document(), TODAY))
    assert found is not None and (found.input, found.output, found.other) == (1, 2, "")


@pytest.mark.parametrize(
    "cost",
    [
        {"input": -1, "output": 2},
        {"input": 1},
        {"input": 1e9, "output": 2},
        {"input": True, "output": 1},
        {"input": "1", "output": 1},
        {"input": float("nan"), "output": 1},
        [],
        None,
    ],
)
def test_a_price_that_cannot_be_is_not_taken(cost) -> None:
    assert published(document(odd={"cost": cost}), TODAY).price("openai", "odd") is None


def test_what_is_not_the_table_is_refused_whole() -> None:
    with pytest.raises(NotATable, match="1 models"):
        published({"openai": {"models": {"a": {"cost": {"input": 1, "output": 1}}}}}, TODAY)


@given(JSON)
def test_any_json_is_a_table_or_refused(found: object) -> None:
    for read in (lambda: published(found, TODAY), lambda: restored(found)):
        try:
            read()
        except NotATable:
            continue


def test_a_saved_table_comes_back_and_a_spoilt_one_does_not() -> None:
    table = published(document(), TODAY)
    kept = json.loads(json.dumps(saved(table)))
    assert restored(kept) == table
    kept["prices"]["openai"]["m1"] = [1, "2", None, None]
    with pytest.raises(NotATable):
        restored(kept)
