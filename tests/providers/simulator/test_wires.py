"""Every dialect against the simulator's own wire of it, over real HTTP: what one writes the other reads, both ways."""

import json

import anyio
import pytest

from providers.dialects import Call, load
from providers.errors import ProviderError
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator import FAULTS, Conduct, Scenario, parse_fault, serve
from providers.simulator.wires import wires
from providers.types import Message, ModelCard, Request, Text, Tool, ToolCall, ToolResult

pytestmark = pytest.mark.anyio

DIALECTS = sorted(wires())
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
EACH = pytest.mark.parametrize("dialect", DIALECTS)
ASKED = (Message("user", (Text("What is 2+2?"),)),)
WEATHER = Tool(
    "weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)
NUMBER = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def provider(http: Http, url: str, dialect: str, *, stream: bool, idle: float = 10) -> HttpProvider:
    can = {"tools", "reasoning", "json", *(["streaming"] if stream else [])}
    return HttpProvider(
        http,
        load(dialect),
        Route(url + wires()[dialect].prefix),
        card=lambda model: ModelCard(
            model, max_output=1000, efforts=("low", "medium", "high"), capabilities=frozenset(can)
        ),
        key=lambda: "sk-canary",
        timeouts=Timeouts(idle=idle),
    )


async def ask(dialect: str, request: Request, *, stream: bool, scenario: Scenario | None = None):
    async with serve(scenario) as url, Http() as http:
        async with provider(http, url, dialect, stream=stream).open(request, "fast") as answering:
            async for _ in answering:
                pass
            return answering.answer


def test_there_is_a_wire_for_every_dialect_of_the_contract():
    assert DIALECTS == ["anthropic", "cohere", "gemini", "ollama", "openai_chat", "openai_responses"]


@BOTH
@EACH
async def test_a_question_is_answered_with_text_usage_and_a_reason_to_stop(dialect, stream):
    answer = await ask(dialect, Request(ASKED, system="Be brief."), stream=stream)
    assert answer.text == "[simulated] The answer is 4."
    assert (answer.finish_reason, answer.simulated, answer.usage_seen) == ("stop", True, True)
    assert (answer.usage.input, answer.usage.output) == (8, 6)


@BOTH
@EACH
async def test_the_token_limit_is_obeyed(dialect, stream):
    answer = await ask(dialect, Request((Message("user", (Text("x " * 40),)),), max_tokens=17), stream=stream)
    assert (answer.finish_reason, answer.usage.output) == ("length", 17)


@BOTH
@EACH
async def test_a_named_tool_is_called(dialect, stream):
    asked = (Message("user", (Text("Use weather, please."),)),)
    answer = await ask(dialect, Request(asked, tools=(WEATHER,)), stream=stream)
    assert answer.finish_reason == ("tool_calls" if dialect != "ollama" else answer.finish_reason)
    (call,) = answer.tool_calls
    assert call.name == "weather" and json.loads(call.arguments) == {"city": "Use weather, please."}


@BOTH
@EACH
async def test_a_tool_result_finds_its_way_back(dialect, stream):
    called = Message("assistant", (ToolCall("call00001", "weather", "{}", "c2ln"),))
    told = Message("tool", (ToolResult("call00001", "sunny", "weather"),))
    answer = await ask(dialect, Request((*ASKED, called, told), tools=(WEATHER,)), stream=stream)
    assert answer.text.startswith("[simulated] The tool said:") and "sunny" in answer.text


@BOTH
@EACH
async def test_thinking_is_told_apart_from_the_answer(dialect, stream):
    answer = await ask(dialect, Request(ASKED, reasoning="high"), stream=stream)
    assert answer.text == "[simulated] The answer is 4."
    assert answer.reasoning and answer.reasoning[0].text.startswith("[simulated] Thinking")


@BOTH
@EACH
async def test_a_schema_gives_a_value_that_meets_it(dialect, stream):
    answer = await ask(dialect, Request(ASKED, schema=NUMBER), stream=stream)
    assert json.loads(answer.text) == {"answer": 4}


@EACH
async def test_lists_vectors_and_counts_are_served_where_the_dialect_reads_them(dialect):
    async with serve() as url, Http() as http:
        able = provider(http, url, dialect, stream=True)
        assert {"fast", "dissenter"} <= {each.id for each in await able.models()}
        if hasattr(able, "embed"):
            same, again, other = (await able.embed(["a b", "a b", "c"], "embed")).vectors
            assert same == again != other
        if hasattr(able, "count"):
            assert await able.count(Request(ASKED), "fast") > 0


# What each fault of the contract is once a dialect has read it. Where a dialect may read it as an answer: "answer".
OUTCOMES = {
    "status": {"unavailable"},
    "retry_after": {"rate_limited"},
    "hang": {"timeout"},
    "slow": {"answer"},
    "reset": {"unavailable", "truncated"},
    "cut_stream": {"truncated"},
    "stall_stream": {"timeout"},
    "no_finish": {"truncated", "answer"},  # a whole document is whole, whatever it says
    "bad_chunk": {"malformed"},
    "empty": {"answer"},
    "no_choices": {"malformed", "answer", "truncated"},
    "error_200": {"unavailable", "malformed"},  # Cohere has no word for an error but the status
    "html_502": {"unavailable"},
    "refusal": {"answer", "content_refused"},
    "truncated": {"answer"},
    "wrong_schema": {"answer"},
    "huge": {"malformed"},
    "bad_utf8": {"malformed"},
    "redirect": {"malformed"},
    "negative_usage": {"answer"},
}


@BOTH
@EACH
async def test_every_fault_of_the_contract_ends_in_its_class(dialect, stream):
    assert set(OUTCOMES) == set(FAULTS)
    models = {name: Conduct(script=(parse_fault(name),), repeat=True) for name in FAULTS}
    found: dict[str, str] = {}

    async def one(able: HttpProvider, name: str) -> None:
        try:
            async with able.open(Request(ASKED), name) as answering:
                async for _ in answering:
                    pass
            found[name] = "answer" if (name != "negative_usage" or not answering.answer.usage_seen) else "negative"
        except ProviderError as error:
            found[name] = error.kind

    async with serve(Scenario(models=models)) as url, Http() as http:
        able = provider(http, url, dialect, stream=stream, idle=1.5)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for name in FAULTS:
                    tasks.start_soon(one, able, name)
    wrong = {name: kind for name, kind in found.items() if kind not in OUTCOMES[name]}
    assert not wrong and len(found) == len(FAULTS)


@BOTH
@EACH
async def test_a_cut_answer_keeps_what_came(dialect, stream):
    scenario = Scenario(models={"*": Conduct(script=(parse_fault("cut_stream"),))})
    async with serve(scenario) as url, Http() as http:
        async with provider(http, url, dialect, stream=stream).open(Request(ASKED), "fast") as answering:
            with pytest.raises(ProviderError):
                async for _ in answering:
                    pass
            assert answering.answer.finish_reason is None
            assert answering.answer.text == ("[simulated] The" if stream else "")


async def test_gemini_answers_one_text_as_embedding_and_many_as_embeddings():
    content = {"parts": [{"text": "a b"}]}
    async with serve() as url, Http() as http:
        able = provider(http, f"{url}", "gemini", stream=False)
        one = await able.fetch(Call("/models/embed:embedContent", {"content": content}))
        many = await able.fetch(Call("/models/embed:batchEmbedContents", {"requests": [{"content": content}] * 2}))
    assert many["embeddings"] == [one["embedding"]] * 2 and len(one) == len(many) == 1
    assert able.dialect.parse_embed(one).vectors == able.dialect.parse_embed(many).vectors[:1]


async def test_the_log_shows_requests_and_no_key():
    async with serve() as url, Http() as http:
        able = provider(http, url, "openai_chat", stream=True)
        async with able.open(Request(ASKED), "fast") as answering:
            async for _ in answering:
                pass
        engine = http.engine()
        reply = await engine.send(engine.form("GET", f"{url}/_log", {}, 5), None)
        body = b""
        while piece := await reply.read():
            body += piece
        reply.close()
    (entry,) = json.loads(body)
    assert entry["path"] == "/openai/v1/chat/completions" and entry["body"]["model"] == "fast"
    assert entry["headers"]["authorization"] == "…" and b"sk-canary" not in body
    assert entry["headers"]["accept-encoding"] == "identity" and "cookie" not in entry["headers"]
