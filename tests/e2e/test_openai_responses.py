"""The official `openai` client's newer face, unmodified, against `/v1/responses`."""

import sys
from pathlib import Path

import openai
import pytest
from pydantic import BaseModel

from providers.simulator import Conduct, Scenario, parse_fault

sys.path.insert(0, str(Path(__file__).parents[1] / "server/http"))

from behind import behind

pytestmark = pytest.mark.anyio
WEATHER = [
    {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


class Person(BaseModel):
    name: str
    age: int


async def test_a_response_has_output_usage_and_a_status(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        client = here.client()
        found = await client.responses.create(model="one/fast", input="What is 17 + 25?", instructions="Be terse.")
        cut = await client.responses.create(model="one/fast", input="Tell me about rivers.", max_output_tokens=2)
        sent = (await here.log())[0]["body"]["messages"]
    assert (found.output_text, found.status, found.model) == ("[simulated] The answer is 42.", "completed", "one/fast")
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens > 0
    assert found.instructions == "Be terse." and sent[0] == {"role": "system", "content": "Be terse."}
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


async def test_the_stream_helper_accepts_every_event_and_ends_with_the_same_response(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        async with here.client().responses.stream(
            model="sim/fast", input="What is 17 + 25?", reasoning={"effort": "low"}
        ) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == final.output_text
    assert final.output_text == "[simulated] The answer is 42."
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert "Thinking (low)" in final.output[0].summary[0].text
    for kind in ("output_item", "content_part"):
        assert kinds.count(f"response.{kind}.added") == kinds.count(f"response.{kind}.done") > 0


async def test_a_function_is_called_and_answered_whole_and_streamed(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "Use weather for Rome"}]}]
    async with behind(tmp_path) as here:
        client = here.client()
        first = await client.responses.create(model="one/fast", input=asked, tools=WEATHER)
        call = first.output[0]
        answer = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        told = [*asked, call.model_dump(exclude_none=True), answer]
        second = await client.responses.create(model="two/smart", input=told, tools=WEATHER)
        async with client.responses.stream(model="one/fast", input=asked, tools=WEATHER) as stream:
            kinds = [event.type async for event in stream]
            streamed = (await stream.get_final_response()).output[0]
        forced = await client.responses.create(
            model="one/fast", input="Hi", tools=WEATHER, tool_choice={"type": "function", "name": "weather"}
        )
    assert (call.type, call.name) == ("function_call", "weather") and "city" in call.arguments
    assert second.output_text
    assert (streamed.name, streamed.arguments) == ("weather", call.arguments)
    assert "response.function_call_arguments.delta" in kinds and "response.function_call_arguments.done" in kinds
    assert forced.output[0].name == "weather"


async def test_a_schema_is_met_and_parsed(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        found = await here.client().responses.parse(model="one/fast", input="Invent a person", text_format=Person)
    assert isinstance(found.output_parsed, Person)


async def test_a_response_can_be_gone_on_from_by_its_own_caller_only(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        first = await here.client().responses.create(model="one/fast", input="My name is Ada.")
        second = {"model": "one/fast", "input": "Who am I?", "previous_response_id": first.id}
        await here.client().responses.create(**second)
        with pytest.raises(openai.BadRequestError):
            await here.client("writer").responses.create(**second)
        sent = [message["content"] for message in (await here.log())[-1]["body"]["messages"]]
    assert sent[0] == "My name is Ada." and sent[-1] == "Who am I?" and len(sent) == 3


async def test_a_stream_that_breaks_tells_so_twice_and_raises(tmp_path: Path) -> None:
    broken = Scenario(models={"openai_chat/fast": Conduct(script=(parse_fault("cut_stream"),), repeat=True)})
    seen = []
    async with behind(tmp_path, broken) as here:
        stream = await here.client().responses.create(model="one/fast", input="Tell me about rivers.", stream=True)
        with pytest.raises(openai.APIError):
            async for event in stream:
                seen.append(event)
    assert seen[-1].type == "response.failed" and seen[-1].response.error.code == "server_error"
    assert not any(event.type == "response.completed" for event in seen)


@pytest.mark.parametrize(
    "change",
    [
        {"background": True},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": {"type": "function", "name": "nobody"}, "tools": WEATHER},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "developer", "content": "only told"}]},
        {"text": {"format": {"type": "json_schema", "name": "x"}}},
    ],
    ids=str,
)
async def test_what_cannot_be_honoured_is_refused_by_name(tmp_path: Path, change: dict) -> None:
    async with behind(tmp_path) as here:
        with pytest.raises(openai.BadRequestError) as caught:
            await here.client().responses.create(**{"model": "one/fast", "input": "Hi", **change})
    assert caught.value.param and caught.value.param.split(".")[0] == next(iter(change))
