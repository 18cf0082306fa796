"""Carbon: ranges, zones, and no claim where nothing is known."""

import subprocess
import sys
from pathlib import Path

import pytest

from providers.catalog import card
from providers.catalog.carbon import grams


def test_a_listed_model_has_a_range_that_grows_with_the_answer():
    short, long = (grams("openai/gpt-4o", tokens, 3.0) for tokens in (100, 1000))
    assert short.listed
    assert 0 < short.low < short.high < 1
    assert long.high > short.high


def test_the_figures_are_of_the_order_ecologits_publishes():
    """Guide providers §16: 500 output tokens are 0.7 to 1.2 Wh for gpt-4o; at the world's 0.458 kg/kWh."""
    found = grams("openai/gpt-4o", 500, 3.0)
    assert found.low == pytest.approx(0.31, rel=0.25)
    assert found.high == pytest.approx(0.53, rel=0.25)


def test_clean_electricity_makes_less():
    assert (
        grams("anthropic/claude-opus-5-5", 500, 5.0, "SWE").high
        < grams("anthropic/claude-opus-5-5", 500, 5.0, "USA").high
    )


def test_an_unknown_zone_counts_as_the_world():
    assert grams("openai/gpt-4o", 500, 3.0, "XXX") == grams("openai/gpt-4o", 500, 3.0, "WOR")


def test_the_same_model_elsewhere_is_found_by_its_vendor():
    assert grams("openrouter/openai/gpt-4o", 500, 3.0).listed
    assert grams("google/gemini-3.8-flash", 500, 3.0).listed


def test_an_unlisted_model_is_computed_from_its_size_and_flagged():
    found = grams("ollama/llama3.3:70b", 500, 20.0, parameters_b=card("ollama", "llama3.3:70b").parameters_b)
    assert not found.listed
    assert 0 < found.low <= found.high


def test_nothing_is_claimed_of_a_model_of_unknown_size():
    assert grams("xai/grok-4.7", 500, 3.0) is None


def test_it_says_nothing_on_stderr_and_is_imported_late():
    program = (
        "import sys; from providers.catalog import carbon; assert 'ecologits' not in sys.modules;"
        "assert carbon.grams('openai/gpt-4o', 100, 1.0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert (done.stdout, done.stderr) == ("", "")
