"""What model names stand for (contract §2): every form, and what is said where a name stands for nothing."""

from dataclasses import replace
from datetime import date

import pytest

from providers.catalog import alias, aliases, card, group, price
from providers.types import Price, Request
from routing.directory import Names, Naming, Task
from routing.errors import NoModel
from routing.types import Ask, Deployment

TODAY = date(2026, 11, 20)


class Nobody:
    def open(self, request, model):
        raise AssertionError("names open nobody")


def at(provider, model, **more):
    from datetime import UTC, datetime

    found = more.pop("price", price(provider, model, datetime(2026, 11, 20, 12, tzinfo=UTC)))
    return Deployment(
        provider,
        model,
        provider,
        more.pop("card", card(provider, model)),
        found,
        Nobody(),
        group=group(provider, model),
        **more,
    )


HOUSE = (
    at("openai", "gpt-6-astra"),
    at("openai", "gpt-6-luna"),
    at("openai", "gpt-5.6-sol"),
    at("openai", "text-embedding-3-small"),
    at("openrouter", "openai/gpt-6-luna"),
    at("openrouter", "anthropic/claude-opus-5.5"),
    at("gemini", "gemini-3.8-flash"),
    at("alpha", "m1"),
    at("sim", "fast", simulated=True),
)


def adopting(provider, model):
    return at(provider, model) if card(provider, model).known else None


def names(house=HOUSE, today=TODAY, adopt=adopting, **naming):
    return Names(house, Naming(**naming), adopt, today=lambda: today)


def resolve(model="auto", *, task=None, **settings):
    return names(**settings).resolve(Ask(Request(()), model=model, task=task))


def steps(resolution):
    return [[d.name for d in step] for step in resolution.steps]


def test_auto_is_every_chat_model_but_no_embedder_and_nothing_simulated():
    found = resolve("auto")
    assert found.auto
    assert steps(found) == [[d.name for d in HOUSE if d.model not in ("text-embedding-3-small", "fast")]]


def test_in_a_demo_simulated_models_may_be_chosen():
    assert "sim/fast" in steps(resolve("auto", demo=True))[0]


def test_dearer_than_max_price_serves_only_when_named():
    assert "openai/gpt-6-astra" not in steps(resolve("auto", max_price=20))[0]
    assert "openai/gpt-6-astra" not in steps(resolve("openai/", max_price=20))[0]
    assert steps(resolve("openai/gpt-6-astra", max_price=20)) == [["openai/gpt-6-astra"]]
    assert steps(resolve("gpt-6-astra", max_price=20)) == [["openai/gpt-6-astra"]]
    assert "openai/gpt-6-astra" in steps(resolve("best", max_price=20, groups={"best": ["openai/gpt-6-astra"]}))[0]


def test_an_unpriced_model_is_not_taken_for_a_dear_one():
    assert "alpha/m1" in steps(resolve("auto", max_price=1))[0]


def test_provider_and_model_is_exact():
    found = resolve("openai/gpt-6-luna")
    assert found.exact
    assert steps(found) == [["openai/gpt-6-luna"]]


def test_google_is_gemini():
    assert steps(resolve("google/gemini-3.8-flash")) == [["gemini/gemini-3.8-flash"]]


def test_a_slash_names_a_provider_only_where_one_has_that_name():
    house = (at("openrouter", "meta-llama/llama-9"),)
    assert steps(resolve("meta-llama/llama-9", house=house)) == [["openrouter/meta-llama/llama-9"]]


def test_a_provider_with_a_slash_is_any_of_its_models_even_simulated_ones():
    assert steps(resolve("sim/")) == [["sim/fast"]]
    assert steps(resolve("openai/")) == [["openai/gpt-6-astra", "openai/gpt-6-luna", "openai/gpt-5.6-sol"]]


def test_a_bare_name_is_tried_where_it_is_the_providers_own_id_then_at_its_equals():
    assert steps(resolve("gpt-6-luna")) == [["openai/gpt-6-luna"], ["openrouter/openai/gpt-6-luna"]]
    assert steps(resolve("gpt-6-luna", equivalents=False)) == [["openai/gpt-6-luna"]]


def test_a_bare_name_finds_the_only_provider_that_has_it_under_another_spelling():
    assert steps(resolve("claude-opus-5-5")) == [["openrouter/anthropic/claude-opus-5.5"]]


def test_a_configured_providers_own_id_beats_a_group_and_an_alias():
    house = (*HOUSE, at("alpha", "fast"), at("alpha", "gpt-4"))
    assert steps(resolve("fast", house=house, groups={"fast": ["openai/gpt-6-luna"]}))[0] == [
        "alpha/fast"
    ]  # simulated ones only where nobody else has it
    found = resolve("gpt-4", house=house)
    assert steps(found)[0] == ["alpha/gpt-4"]
    assert "openai" not in " ".join(found.warnings)


def test_a_group_is_its_list_and_may_hold_groups_and_bare_names():
    groups = {"quick": ["gpt-6-luna", "alpha/m1"], "all": ["quick", "gemini/", "quick"]}
    assert steps(resolve("all", groups=groups)) == [["openai/gpt-6-luna", "alpha/m1", "gemini/gemini-3.8-flash"]]


def test_a_group_that_names_itself_ends():
    groups = {"a": ["b", "alpha/m1"], "b": ["a"]}
    assert steps(resolve("a", groups=groups)) == [["alpha/m1"]]


def test_a_group_whose_members_are_all_missing_is_an_error():
    with pytest.raises(NoModel):
        resolve("gone", groups={"gone": ["beta/x"]})


def test_fallbacks_follow_and_may_point_at_each_other():
    fallbacks = {"gpt-6-luna": ["gemini-3.8-flash", "quick"], "gemini-3.8-flash": ["gpt-6-luna"]}
    found = resolve("gpt-6-luna", fallbacks=fallbacks, groups={"quick": ["alpha/m1", "openai/gpt-6-luna"]})
    assert steps(found) == [
        ["openai/gpt-6-luna"],
        ["openrouter/openai/gpt-6-luna"],
        ["gemini/gemini-3.8-flash"],
        ["alpha/m1"],
    ]


def test_the_fallback_of_a_model_nobody_has_serves_with_a_warning():
    found = resolve("m-of-dreams", fallbacks={"m-of-dreams": ["alpha/m1"]})
    assert steps(found) == [["alpha/m1"]]
    assert "m-of-dreams" in found.warnings[0]


def test_a_catalogued_model_nobody_configured_is_adopted_when_named():
    assert steps(resolve("openai/gpt-4.1-nano")) == [["openai/gpt-4.1-nano"]]
    assert steps(resolve("gemini-4-argon"))[0][0] == "gemini/gemini-4-argon"


def test_what_the_policy_refuses_to_adopt_does_not_exist():
    with pytest.raises(NoModel):
        resolve("openai/gpt-4.1-nano", adopt=lambda provider, model: None)


def test_a_task_names_a_model_a_group_a_strategy_or_a_kind():
    tasks = {"commit": "alpha/m1", "cheap": "cost", "review": Task(kind="code", strategy="quality"), "grp": "quick"}
    settings = {"tasks": tasks, "strategies": frozenset({"cost", "quality"}), "groups": {"quick": ["gpt-6-luna"]}}
    assert steps(resolve(task="commit", **settings)) == [["alpha/m1"]]
    assert resolve(task="cheap", **settings).strategy == "cost"
    assert (resolve(task="review", **settings).kind, resolve(task="review", **settings).strategy) == ("code", "quality")
    assert steps(resolve(task="grp", **settings)) == [["openai/gpt-6-luna"]]
    assert resolve(task="math", **settings).kind == "math"
    assert resolve(task="whatever", **settings).kind is None


def test_a_named_model_beats_the_tasks_model():
    assert steps(resolve("alpha/m1", task="t", tasks={"t": "openai/gpt-6-luna"})) == [["alpha/m1"]]


def test_the_configured_default_stands_for_auto():
    assert steps(resolve("auto", default="alpha/m1")) == [["alpha/m1"]]


def everything_of_today():
    """A house that has every successor the table names."""
    vendors = {"gpt": "openai", "cla": "anthropic", "gem": "gemini", "gro": "xai", "dee": "deepseek"}
    today = dict.fromkeys(entry.now for entry in aliases().values() if entry.now)
    return tuple(at(vendors[model[:3]], model) for model in today)


@pytest.mark.parametrize("name", sorted(aliases()))
def test_every_id_of_the_original_documents_resolves_or_says_why_not(name):
    entry = alias(name)
    house = everything_of_today()
    if name.startswith(("mistral", "qwen")):
        with pytest.raises(NoModel) as told:
            resolve(name, house=house)
        assert told.value.hint
    elif entry.obsolete(TODAY) and entry.now is None:
        with pytest.raises(NoModel, match="nothing takes its place"):
            resolve(name, house=house)
    elif entry.obsolete(TODAY):
        found = resolve(name, house=house)
        assert [d.model for d in found.steps[0]] == [entry.now]
        assert found.warnings
        assert entry.now in found.warnings[0]
    else:
        found = resolve(name, house=house)
        assert found.steps[0][0].model == name
        assert entry.shutdown in found.warnings[0]


@pytest.mark.parametrize("name", [n for n, e in sorted(aliases().items()) if e.obsolete(TODAY)])
def test_an_old_id_at_a_named_provider_is_an_error_with_the_hint(name):
    entry = alias(name)
    provider = {"gpt": "openai", "cla": "anthropic", "gem": "gemini", "gro": "xai", "dee": "deepseek"}.get(
        name[:3], "openai"
    )
    with pytest.raises(NoModel) as told:
        resolve(f"{provider}/{name}", house=everything_of_today())
    said = told.value
    if entry.now:
        assert entry.now in said.hint
        assert said.next_call.arguments == {"model": f"{provider}/{entry.now}"}


def test_an_alias_dies_on_its_day():
    house = (at("openai", "gpt-6-luna"),)
    assert resolve("gpt-4o", house=house, today=date(2027, 1, 13)).steps[0][0].model == "gpt-4o"
    assert resolve("gpt-4o", house=house, today=date(2027, 1, 14)).steps[0][0].model == "gpt-6-luna"


def test_the_successor_of_deepseeks_two_names_keeps_their_manner():
    house = (at("deepseek", "deepseek-flash"),)
    assert resolve("deepseek-chat", house=house).effort == "none"
    assert resolve("deepseek-reasoner", house=house).effort == "high"


def test_a_model_about_to_end_is_served_with_a_warning():
    assert "2027-01-14" in resolve("openai/gpt-4o").warnings[0]


def test_a_retired_deployment_serves_nobody():
    house = (at("openai", "gpt-4", status="retired"), at("openai", "gpt-5.6-sol"))
    assert steps(resolve("gpt-4", house=house)) == [["openai/gpt-5.6-sol"]]


def test_an_unknown_name_names_its_nearest():
    with pytest.raises(NoModel) as told:
        resolve("openai/gpt-6-lunna")
    assert "openai/gpt-6-luna" in told.value.hint
    assert told.value.next_call.tool == "generate"
    with pytest.raises(NoModel) as told:
        resolve("gpt-6-lunna")
    assert "openai/gpt-6-luna" in told.value.hint


def test_a_model_somebody_else_has_names_the_key_that_would_bring_it():
    with pytest.raises(NoModel) as told:
        resolve("grok-4.7", house=(at("alpha", "m1"),))
    assert "XAI_API_KEY" in told.value.hint


def test_with_nobody_configured_three_ways_are_told():
    with pytest.raises(NoModel) as told:
        resolve("auto", house=())
    for way in ("OPENAI_API_KEY", "Ollama", "plenum demo"):
        assert way in told.value.hint


def test_the_simulator_alone_is_nobody_unless_named():
    house = (at("sim", "fast", simulated=True, price=Price(1, 2)),)
    with pytest.raises(NoModel):
        resolve("auto", house=house)
    assert steps(resolve("sim/fast", house=house)) == [["sim/fast"]]


def test_resolving_is_quick_with_a_thousand_deployments():
    from time import process_time

    house = [at("openrouter", f"maker/model-{i}") for i in range(1000)]
    directory = names(house=house)
    began = process_time()
    for _ in range(20):
        directory.resolve(Ask(Request(()), model="maker/model-500"))
    assert process_time() - began < 2.0


def test_any_text_is_a_name_or_an_error():
    for text in ("", "/", "//", "openai//", "a/" * 50, "*", "\x00", "é" * 300):
        try:
            assert resolve(text).steps
        except NoModel as said:
            assert said.message


def test_what_a_name_stands_for_is_asked_anew_every_day():
    day = [date(2026, 11, 20)]
    ending = at("alpha", "m9", card=replace(card("alpha", "m9"), retires="2027-01-01"))
    names = Names((ending,), Naming(), today=lambda: day[0])
    asked = Ask(Request(()), "alpha/m9")
    assert names.resolve(asked) is names.resolve(asked)
    assert names.resolve(asked).warnings
    day[0] = date(2027, 11, 20)
    assert not names.resolve(asked).warnings
