"""The official `openai` client, unmodified, against `/v1`: its ordinary calls, through a real provider call over HTTP."""

import sys
from pathlib import Path

import openai
import pytest
from pydantic import BaseModel

from providers.simulator import Conduct, Scenario, parse_fault

sys.path.insert(0, str(Path(__file__).parents[1] / "server/http"))

from behind import behind

pytestmark = pytest.mark.anyio
SUM = [{"role": "user", "content": "What is 17 + 25?"}]
WEATHER = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


class Person(BaseModel):
    name: str
    age: int


def always(fault: str, model: str = "openai_chat/fast") -> Scenario:
    return Scenario(models={model: Conduct(script=(parse_fault(fault),), repeat=True)})


async def test_chat_gives_a_completion_with_usage_and_a_receipt_that_can_be_looked_up(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        raw = await here.client().chat.completions.with_raw_response.create(model="one/fast", messages=SUM)
        completion = raw.parse()
        receipt = await here.app.journal.receipt(raw.headers["x-plenum-receipt"], "team-secret")
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("[simulated] The answer is 42.", "stop")
    assert completion.model == "one/fast"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0
    assert completion.usage.completion_tokens_details.reasoning_tokens == 0
    assert completion._request_id == raw.headers["x-plenum-receipt"]
    assert receipt.cost_usd > 0 and receipt.usage.output == completion.usage.completion_tokens


async def test_a_stream_gives_the_same_words_and_usage_where_it_is_asked_for(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        client = here.client()
        stream = await client.chat.completions.create(
            model="auto", messages=SUM, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        plain = [c async for c in await client.chat.completions.create(model="auto", messages=SUM, stream=True)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "[simulated] The answer is 42."
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert not any(chunk.usage for chunk in plain)
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_tool_is_called_answered_and_forced(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "Use weather for Rome"}]
    async with behind(tmp_path) as here:
        create = here.client().chat.completions.create
        first = await create(model="one/fast", messages=asked, tools=WEATHER)
        call = first.choices[0].message.tool_calls[0]
        told = [*asked, first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        second = await create(model="one/fast", messages=told, tools=WEATHER)
        choice = {"type": "function", "function": {"name": "weather"}}
        forced = await create(model="two/smart", messages=SUM, tools=WEATHER, tool_choice=choice)
        sent = (await here.log())[1]["body"]["messages"]
    assert first.choices[0].finish_reason == "tool_calls"
    assert (call.type, call.function.name) == ("function", "weather") and "city" in call.function.arguments
    assert second.choices[0].finish_reason == "stop" and second.choices[0].message.content
    assert [m["role"] for m in sent] == ["user", "assistant", "tool"] and sent[2]["tool_call_id"] == call.id
    assert forced.choices[0].message.tool_calls[0].function.name == "weather"


async def test_the_clients_own_stream_helper_assembles_tool_calls(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "Use weather for Rome"}]
    async with behind(tmp_path) as here:
        create = here.client().chat.completions
        async with create.stream(model="one/fast", messages=asked, tools=WEATHER) as stream:
            events = [event.type async for event in stream]
            final = await stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and call.function.arguments.startswith("{")
    assert "tool_calls.function.arguments.done" in events


@pytest.mark.parametrize("model", ["one/fast", "two/smart"])
async def test_a_schema_is_met_and_parsed_by_the_client(tmp_path: Path, model: str) -> None:
    async with behind(tmp_path) as here:
        found = await here.client().chat.completions.parse(
            model=model, messages=[{"role": "user", "content": "Invent a person"}], response_format=Person
        )
        free = await here.client().chat.completions.create(
            model=model, messages=[{"role": "user", "content": "JSON"}], response_format={"type": "json_object"}
        )
    assert isinstance(found.choices[0].message.parsed, Person)
    assert free.choices[0].message.content.lstrip().startswith("{")


async def test_images_settings_and_instructions_reach_the_provider(tmp_path: Path) -> None:
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    async with behind(tmp_path) as here:
        done = await here.client().chat.completions.create(
            model="one/fast",
            messages=[{"role": "developer", "content": "Be terse."}, {"role": "user", "content": content}],
            temperature=0.5,
            max_completion_tokens=3,
            stop=["zzz"],
            seed=7,
        )
        thought = await here.client().chat.completions.create(model="sim/fast", messages=SUM, reasoning_effort="low")
        sent = (await here.log())[0]["body"]
    assert done.choices[0].finish_reason == "length"
    assert "Thinking (low)" in thought.choices[0].message.reasoning_content
    assert thought.usage.completion_tokens_details.reasoning_tokens > 0
    assert sent["messages"][0] == {"role": "system", "content": "Be terse."}
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == PIXEL
    assert (sent["stop"], sent["seed"]) == (["zzz"], 7)


async def test_extensions_choose_route_and_show_the_receipt(tmp_path: Path) -> None:
    own = {"strategy": "quality", "task": "code", "max_cost_usd": 0.5, "receipt": True, "request_id": "r-1"}
    async with behind(tmp_path) as here:
        create = here.client().chat.completions.create
        first = await create(model="writers", messages=SUM, extra_body={"plenum": own})
        again = await create(model="writers", messages=SUM, extra_body={"plenum": own})
        dear = here.client().chat.completions.create(
            model="one/fast", messages=SUM, extra_body={"plenum": {"max_cost_usd": 0}}
        )
        with pytest.raises(openai.RateLimitError) as poor:
            await dear
    assert first.plenum["receipt"]["strategy"] == "quality" and first.plenum["receipt"]["cached"] == "no"
    assert again.plenum["receipt"]["cached"] == "replayed" and again.plenum["receipt"]["cost_usd"] == 0
    assert poor.value.code == "insufficient_quota" and poor.value.type == "insufficient_quota"


async def test_models_are_listed_and_found(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        client = here.client()
        listed = [model.id async for model in await client.models.list()]
        one = await client.models.retrieve("one/fast")
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nosuch")
    assert listed[:2] == ["auto", "writers"] and {"one/fast", "two/smart", "one/embed"} <= set(listed)
    assert (one.id, one.owned_by, one.context_window) == ("one/fast", "one", 32000)


ERRORS = {
    "nobody has this model": ({"model": "nosuch"}, openai.NotFoundError, "model_not_found"),
    "two answers": ({"n": 2}, openai.BadRequestError, "invalid_request"),
    "log probabilities": ({"logprobs": True}, openai.BadRequestError, "invalid_request"),
    "a temperature beyond all": ({"temperature": 9}, openai.BadRequestError, "invalid_request"),
    "no messages": ({"messages": []}, openai.BadRequestError, "invalid_request"),
    "an unknown extension": ({"extra_body": {"plenum": {"x": 1}}}, openai.BadRequestError, "invalid_request"),
    "too long for the model": (
        {"messages": [{"role": "user", "content": "word " * 15_000}] * 3},
        openai.BadRequestError,
        "context_length_exceeded",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_errors_are_the_clients_own_classes(tmp_path: Path, name: str) -> None:
    change, kind, code = ERRORS[name]
    async with behind(tmp_path) as here:
        with pytest.raises(kind) as caught:
            await here.client().chat.completions.create(**{"model": "one/fast", "messages": SUM, **change})
    assert caught.value.code == code and caught.value.type == "invalid_request_error"
    assert "canary" not in str(caught.value)


async def test_a_wrong_token_and_a_token_without_the_scope_are_told_apart(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        with pytest.raises(openai.AuthenticationError):
            await here.client("nonsense").chat.completions.create(model="auto", messages=SUM)
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await here.client("reader").chat.completions.create(model="auto", messages=SUM)
        assert (await here.client("reader").models.list()).data
        with pytest.raises(openai.PermissionDeniedError):
            await here.client("writer").models.list()
    assert "generate" in caught.value.message


@pytest.mark.parametrize("fault", ["cut_stream", "bad_chunk"])
async def test_a_stream_that_breaks_raises_in_the_client_and_never_ends_as_if_complete(
    tmp_path: Path, fault: str
) -> None:
    seen = []
    async with behind(tmp_path, always(fault)) as here:
        messages = [{"role": "user", "content": "Tell me about rivers."}]
        stream = await here.client().chat.completions.create(model="one/fast", messages=messages, stream=True)
        with pytest.raises(openai.APIError) as caught:
            async for chunk in stream:
                seen.append(chunk)
    assert seen and not any(chunk.choices[0].finish_reason for chunk in seen)
    assert caught.value.type == "server_error"


async def test_a_provider_that_fails_before_its_first_token_is_replaced_in_a_stream_too(tmp_path: Path) -> None:
    async with behind(tmp_path, always("status:503")) as here:
        create = here.client().chat.completions.create
        chunks = [chunk async for chunk in await create(model="writers", messages=SUM, stream=True)]
        with pytest.raises(openai.InternalServerError) as caught:
            await create(model="one/fast", messages=SUM)
    assert {chunk.model for chunk in chunks} == {"two/smart"}
    assert caught.value.status_code == 502 and caught.value.code == "provider_failed"


async def test_a_rate_limit_tells_when_to_come_back(tmp_path: Path) -> None:
    async with behind(tmp_path, always("retry_after:300")) as here:
        with pytest.raises(openai.RateLimitError) as caught:
            await here.client().chat.completions.create(
                model="one/fast", messages=SUM, extra_body={"plenum": {"max_latency_s": 5}}
            )
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 300
