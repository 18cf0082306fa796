"""Rows, cards and aliases: what is known before anybody is called."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from providers.catalog import Override, alias, aliases, canonical, card, find, group, models, row, rows
from providers.catalog.snapshot import table
from providers.dialects import FLAGS, names
from providers.types import Listed

ROOT = Path(__file__).parents[3]
NAMED = "openai anthropic gemini xai deepseek mistral ollama cohere azure openrouter groq together huggingface cerebras perplexity lmstudio llamacpp vllm"


def test_every_provider_of_the_contract_has_a_row():
    assert set(NAMED.split()) == set(rows())


@pytest.mark.parametrize("name", NAMED.split())
def test_a_row_speaks_a_dialect_that_exists_and_uses_known_flags(name):
    found = row(name)
    assert {found.dialect, *found.also} <= set(names())
    assert found.flags <= set(FLAGS)
    assert found.keys
    assert found.local == bool(found.ports)
    assert found.local or found.base_url.startswith("https://") or name == "azure"


@pytest.mark.parametrize("name", NAMED.split())
def test_what_a_row_offers_is_known_and_not_retired(name):
    for model in row(name).models:
        found = card(name, model)
        assert found.known or name == "huggingface"
        assert not found.retires or found.retires > "2026-11-20"
        assert found.family
        assert not (old := alias(model)) or not old.obsolete(date(2026, 11, 20))


def test_google_is_gemini():
    assert canonical("google") == "gemini"
    assert row("Google") is row("gemini")


def test_rules_of_names_use_flags_the_dialects_know_and_qualities_that_exist():
    names_ = table("families.toml")
    for rule in names_["models"]:
        assert {flag.removeprefix("-") for flag in rule.get("flags", ())} <= set(FLAGS), rule
        assert rule["quality"] in names_["quality"]
    for tier in names_["quality"].values():
        assert all(0 <= value <= 1 for value in tier.values())
        assert "default" in tier


def test_window_and_longest_prompt_are_two_numbers():
    found = card("openai", "gpt-6-luna")
    assert (found.context_window, found.max_input, found.max_output) == (1_050_000, 922_000, 128_000)


@pytest.mark.parametrize(
    ("provider", "model", "sampling", "efforts"),
    [
        ("openai", "gpt-6-astra", False, "low medium high xhigh max"),
        ("openai", "gpt-6-luna", True, "none low medium high xhigh max"),
        ("openai", "gpt-5-mini-2025-08-07", False, "minimal low medium high"),
        ("openai", "gpt-5-pro", False, "high"),
        ("openai", "o3", False, "low medium high"),
        ("openai", "gpt-4o", True, ""),
        ("anthropic", "claude-opus-5-5", False, "low medium high xhigh max"),
        ("anthropic", "claude-haiku-5-5", False, "none low medium high xhigh max"),
        ("anthropic", "claude-sonnet-4-6", True, "none low medium high max"),
        ("gemini", "gemini-3.8-flash", False, "low medium high"),
        ("gemini", "gemini-2.5-flash", True, "none low medium high"),
        ("xai", "grok-4.7", True, "low medium high xhigh"),
        ("deepseek", "deepseek-flash", True, "none low high max"),
        ("openrouter", "anthropic/claude-opus-5.5", False, "low medium high xhigh max"),
    ],
)
def test_sampling_and_efforts_are_as_the_vendor_allows(provider, model, sampling, efforts):
    found = card(provider, model)
    assert ("sampling" in found.capabilities) == sampling
    assert " ".join(found.efforts) == efforts
    assert ("reasoning" in found.capabilities) == bool(efforts)


def test_the_matrices_become_flags():
    assert "responses_only" in card("openai", "gpt-5-pro").flags
    assert "responses_only" not in card("openai", "gpt-6-luna").flags
    assert "sampling_at_none" in card("openai", "gpt-6-luna").flags
    assert {"thinking_between_tools", "no_forced_tool"} <= card("anthropic", "claude-sonnet-5-5").flags
    assert "budget_thinking" in card("anthropic", "claude-haiku-4-5-20251001").flags
    assert "short_tool_ids" in card("mistral", "mistral-small-latest").flags
    assert "reasoning_parsed" in card("groq", "qwen/qwen3.8-27b").flags
    assert "reasoning_parsed" not in card("groq", "openai/gpt-oss-120b").flags


def test_an_unknown_id_gets_a_cautious_card_that_says_so():
    found = card("alpha", "m1")
    assert not found.known
    assert (found.context_window, found.max_output) == (8192, 4096)
    assert "tools" not in found.capabilities
    assert found.quality == {"default": 0.5}


def test_the_size_in_an_open_models_name_tells_its_rank_and_its_parameters():
    large, small = card("ollama", "llama3.3:70b"), card("ollama", "qwen2.5-coder:7b")
    assert large.quality["default"] > small.quality["default"]
    assert (large.parameters_b, small.parameters_b) == ((70, 70), (7, 7))
    assert card("together", "Qwen/Qwen3-30B-A3B").parameters_b == (3, 3)


def test_an_embedder_can_embed_and_nothing_else():
    assert card("openai", "text-embedding-3-small").capabilities == {"embeddings"}


def test_a_live_list_overlays_the_snapshot_and_configuration_overlays_both():
    listed = Listed("grok-4.7", context_window=600_000, retires="2027-05-01")
    live = card("xai", "grok-4.7", listed)
    assert (live.context_window, live.max_input, live.retires) == (600_000, None, "2027-05-01")
    assert live.efforts == card("xai", "grok-4.7").efforts
    said = card("xai", "grok-4.7", listed, Override(context_window=1000, max_output=100, family="mine"))
    assert (said.context_window, said.max_output, said.family, said.retires) == (1000, 100, "mine", "2027-05-01")


def test_one_quality_number_speaks_for_every_kind_and_a_table_for_its_own():
    assert card("alpha", "m1", override=Override(quality={"default": 0.9})).quality == {"default": 0.9}
    mixed = card("openai", "gpt-6-luna", override=Override(quality={"math": 0.1})).quality
    assert mixed["math"] == 0.1
    assert mixed["code"] == card("openai", "gpt-6-luna").quality["code"]


def test_a_fine_tuned_model_inherits_what_is_not_said():
    tuned = card("alpha", "ours-v2", override=Override(base="gpt-4.1-mini", max_output=10))
    assert tuned.id == "ours-v2"
    assert (tuned.context_window, tuned.max_output, tuned.known) == (1_047_576, 10, True)
    assert card("alpha", "x", override=Override(base="anthropic/claude-haiku-5-5")).family == "claude"


def test_a_deployment_of_ones_own_does_not_end_with_the_model_it_is_of():
    assert card("azure", "gpt-4.1-mini").retires
    mine = card("azure", "mine", override=Override(base="gpt-4.1-mini"))
    assert (mine.retires, mine.replaced_by) == (None, None)
    ends = Listed("mine", retires="2027-05-01")
    assert card("azure", "mine", ends, Override(base="gpt-4.1-mini")).retires == "2027-05-01"


def test_equals_find_each_other_by_group():
    same = [("openai", "gpt-6-luna"), ("openrouter", "openai/gpt-6-luna"), ("azure", "gpt-6-luna-2026-09-01")]
    assert {group(*deployment) for deployment in same} == {"gpt-6-luna"}
    assert group("openrouter", "anthropic/claude-opus-5.5") == group("anthropic", "claude-opus-5-5")
    assert group("openrouter", "anthropic/claude-opus-5.5") != group("anthropic", "claude-opus-5")


def test_a_model_is_found_under_a_routers_spelling():
    assert find("openrouter", "claude-opus-5-5") == "anthropic/claude-opus-5.5"
    assert find("openai", "gpt-4.1-nano") == "gpt-4.1-nano"
    assert find("openai", "nothing-like-it") is None
    assert "gpt-4o" in models("openai")


def test_all_46_ids_of_the_original_documents_and_the_others_named_have_an_entry():
    others = (
        "gpt-4 gpt-4-turbo gpt-3.5-turbo gemini-pro gemini-pro-vision gemini-ultra claude-3-5-sonnet-20241022 "
        "claude-3-opus mistral-small-latest mistral-medium-latest mistral-large-latest qwen2.5-coder:7b"
    )
    assert all(alias(name) for name in others.split())
    assert len(aliases()) == 46 + 12


def test_every_dead_id_says_what_became_of_it():
    for entry in aliases().values():
        if entry.obsolete(date(2026, 11, 20)):
            said = entry.fate(date(2026, 11, 20))
            assert "retired" in said or "never existed" in said or "ends" in said or "true id" in said


def test_every_successor_is_a_current_model_of_the_catalogue():
    for entry in aliases().values():
        if entry.now:
            provider = next(
                name for name in ("openai", "anthropic", "gemini", "xai", "deepseek") if find(name, entry.now)
            )
            found = card(provider, entry.now)
            assert found.known
            assert not found.retires or found.retires > "2026-11-20"


def test_the_first_card_is_quick_and_drags_nothing_in():
    program = (
        "import sys, time; from providers import catalog; t = time.process_time();"
        "catalog.card('openai', 'gpt-6-luna'); took = time.process_time() - t;"
        "heavy = {'genai_prices', 'ecologits', 'tiktoken', 'rapidfuzz', 'httpx'} & set(sys.modules);"
        "assert not heavy, heavy; assert took < 0.2, took"  # 15 ms alone; the rest is for a busy machine
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_the_snapshot_is_small_and_names_its_sources():
    from providers.catalog.snapshot import snapshot

    assert (ROOT / "providers/catalog/snapshot.json").stat().st_size < 300_000
    assert "litellm" in snapshot()["about"]["cards"]
    assert "genai-prices" in snapshot()["about"]["prices"]
