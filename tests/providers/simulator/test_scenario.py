"""Scenarios: read strictly, played the same from the same seed; and the provider in process plays them without waiting."""

import anyio
import pytest

from providers.errors import ProviderError, RateLimited
from providers.simulator import (
    FAULTS,
    Conduct,
    Fault,
    Said,
    Scenario,
    ScenarioError,
    SimProvider,
    load_scenario,
    parse_fault,
)
from providers.simulator.script import Luck
from providers.types import Answer, Embedder, Lister, Message, Provider, Request, Text, TokenCounter, Usage

pytestmark = pytest.mark.anyio

QUESTION = Request((Message("user", (Text("What is 2+2?"),)),))
EXAMPLE = """
seed = 7
[models."*"]
latency_s = 0.2
tokens_per_s = 80
[models.flaky]
faults = { "status:503" = 0.2, "cut_stream" = 0.1 }
price = { input = 0.15, output = 0.6, cached_input = 0.02 }
[models."anthropic/claude-haiku-5-5"]
script = ["retry_after:7", "ok", "hang"]
repeat = true
answers = ["Paris.", "Lyon."]
"""


class Clock:
    """Sleeps that pass at once and are added up."""

    def __init__(self) -> None:
        self.slept = 0.0

    async def __call__(self, seconds: float) -> None:
        self.slept += seconds
        await anyio.lowlevel.checkpoint()


async def told(provider: Provider, model: str) -> Answer:
    async with provider.open(QUESTION, model) as stream:
        text = "".join([delta.text async for delta in stream if delta.kind == "text"])
        assert stream.answer.text == text
        return stream.answer


def test_a_scenario_is_read_with_all_it_says():
    scenario = load_scenario(EXAMPLE)
    assert scenario.seed == 7
    assert scenario.conduct("gemini", "anything").latency_s == 0.2
    flaky = scenario.conduct("sim", "flaky")
    assert flaky.faults == ((Fault("status", 503), 0.2), (Fault("cut_stream"), 0.1)) and flaky.price.output == 0.6
    scripted = scenario.conduct("anthropic", "claude-haiku-5-5")
    assert scripted.script == (Fault("retry_after", 7), None, Fault("hang")) and scripted.repeat
    assert scenario.conduct("openai_chat", "claude-haiku-5-5").script == ()


def test_json_says_the_same_as_toml():
    assert load_scenario('{"seed": 1, "models": {"a": {"latency_s": 1}}}') == load_scenario(
        "seed=1\n[models.a]\nlatency_s=1"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeed = 1", "did you mean 'seed'"),
        ("[models.a]\nlatency = 1", "did you mean 'latency_s'"),
        ("[models.a]\nlatency_s = -1", "models.a.latency_s"),
        ('[models.a]\nlatency_s = "x"', "must be a number"),
        ('[models.a]\nscript = ["hangs"]', "did you mean 'hang'"),
        ('[models.a]\nscript = "hang"', "list of texts"),
        ('[models.a]\nfaults = { "status:200" = 0.1 }', "between 300 and 599"),
        ('[models.a]\nfaults = { "status:x" = 0.1 }', "must be a number"),
        ("[models.a]\nfaults = { reset = 0.7, hang = 0.6 }", "more than 1"),
        ("[models.a]\nprice = { in = 1 }", "price"),
        ("models = 3", "must be a table"),
        ("seed = 1.5", "whole number"),
        ("{", "neither TOML nor JSON"),
        ("=", "neither TOML nor JSON"),
    ],
)
def test_a_wrong_scenario_says_where_and_what_would_do(text, says):
    with pytest.raises(ScenarioError, match=says.replace("(", r"\(")):
        load_scenario(text)


def test_the_same_seed_gives_the_same_faults_and_another_seed_others():
    def run(seed: int) -> list[str]:
        luck = Luck(Scenario(seed, {"*": Conduct(faults=((Fault("reset"), 0.3), (Fault("hang"), 0.3)))}))
        return [fault.name if fault else "ok" for _, fault, _ in (luck.next("sim", "fast") for _ in range(200))]

    assert run(1) == run(1) != run(2)
    assert 30 < run(1).count("reset") < 90 and 30 < run(1).count("hang") < 90


def test_a_script_is_played_once_or_for_ever():
    once = Luck(Scenario(models={"*": Conduct(script=(Fault("hang"), None))}))
    assert [once.next("sim", "m")[1] for _ in range(4)] == [Fault("hang"), None, None, None]
    again = Luck(Scenario(models={"*": Conduct(script=(Fault("hang"), None), repeat=True)}))
    assert [again.next("sim", "m")[1] for _ in range(4)] == [Fault("hang"), None, Fault("hang"), None]


async def test_the_provider_is_all_a_provider_can_be_and_waits_for_nobody():
    clock = Clock()
    provider = SimProvider(load_scenario(EXAMPLE), sleep=clock)
    assert all(isinstance(provider, kind) for kind in (Provider, Embedder, Lister, TokenCounter))
    answer = await told(provider, "sim/fast")
    assert answer.text == "[simulated] The answer is 4." and answer.simulated and answer.model_returned == "sim/fast"
    assert clock.slept == pytest.approx(0.2 + 6 / 80)
    assert {each.id: each.output_price for each in await provider.models()}["flaky"] == 0.6
    assert await provider.count(QUESTION, "fast") == answer.usage.input
    assert len((await provider.embed(["a", "b"], "embed")).vectors) == 2


async def test_scripted_texts_come_in_turn():
    provider = SimProvider(Scenario(models={"*": Conduct(answers=("Paris.", "Lyon."))}))
    assert [(await told(provider, "m")).text for _ in range(3)] == ["Paris.", "Lyon.", "Paris."]


async def test_recorded_answers_are_replayed_with_their_tokens_and_their_time():
    recorded = Answer(text="B", finish_reason="stop", usage=Usage(input=100, output=7), usage_seen=True)
    clock = Clock()
    provider = SimProvider(answers=lambda model, _: Said(recorded, latency_s=3.0, token_s=0.5), sleep=clock)
    answer = await told(provider, "m")
    assert (answer.text, answer.usage) == ("B", Usage(input=100, output=7))
    assert clock.slept == pytest.approx(3.5)


KINDS = {
    "status": "unavailable",
    "retry_after": "rate_limited",
    "hang": "timeout",
    "reset": "unavailable",
    "cut_stream": "truncated",
    "stall_stream": "timeout",
    "no_finish": "truncated",
    "bad_chunk": "malformed",
    "no_choices": "malformed",
    "error_200": "unavailable",
    "html_502": "unavailable",
    "huge": "malformed",
    "bad_utf8": "malformed",
    "redirect": "malformed",
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_process_is_what_it_would_be_over_http(name):
    scenario = Scenario(models={"*": Conduct(script=(parse_fault(name),))})
    provider = SimProvider(scenario, sleep=Clock())
    if name in KINDS:
        with pytest.raises(ProviderError) as caught:
            await told(provider, "fast")
        assert caught.value.kind == KINDS[name]
    else:
        answer = await told(provider, "fast")
        expected = {
            "empty": ("", "stop"),
            "truncated": ("[simulated] The", "length"),
            "refusal": ("", "content_filter"),
            "wrong_schema": ('{"simulated": "not what was asked for"}', "stop"),
        }
        assert (answer.text, answer.finish_reason) == expected.get(name, ("[simulated] The answer is 4.", "stop"))
        assert answer.usage_seen is (name != "negative_usage")
    assert (await told(provider, "fast")).finish_reason == "stop"


async def test_a_limit_in_process_says_how_long():
    provider = SimProvider(Scenario(models={"*": Conduct(script=(Fault("retry_after", 7),))}))
    with pytest.raises(RateLimited) as caught:
        await told(provider, "fast")
    assert caught.value.after == 7 and caught.value.billed == "no"


async def test_half_a_stream_is_kept_when_it_breaks():
    provider = SimProvider(Scenario(models={"*": Conduct(script=(Fault("cut_stream"),))}), sleep=Clock())
    async with provider.open(QUESTION, "fast") as stream:
        with pytest.raises(ProviderError):
            async for _ in stream:
                pass
        assert (stream.answer.text, stream.answer.finish_reason) == ("[simulated] The", None)
