"""The tools as a client of either era meets them, in memory: forms, arguments, errors, patience, replay."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS

sys.path.insert(0, str(Path(__file__).parents[1]))

from household import opener_of, small_app

from providers.simulator import load_scenario
from routing.health import ModelHealth
from routing.types import UNASKED, Receipt
from server import callers
from server.face import INSTRUCTIONS, face
from server.house import House
from server.tools.generate import closing

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
CODES = {
    "invalid_request", "no_model", "context_too_long", "budget_exceeded", "rate_limited", "authentication",
    "content_refused", "provider_failed", "timeout", "cancelled", "policy", "configuration",
}  # fmt: skip


def client(app=None, mode: str = "auto", **more) -> Client:
    return Client(face(House(opener_of(app or small_app()))), mode=mode, read_timeout_seconds=20, **more)


def scripted(**models) -> object:
    return small_app(load_scenario(json.dumps({"models": models})))


@MODES
async def test_text_is_one_block_with_the_answer_and_a_footer(mode: str) -> None:
    async with client(mode=mode) as session:
        result = await session.call_tool("generate", {"prompt": "What is 6*7?"})
    (block,) = result.content
    answer, _, footer = block.text.rpartition("\n\n— ")
    receipt = result.meta["plenum/receipt"]
    assert answer.startswith("[simulated]")
    assert footer == f"sim/fast · $0.000012 · {receipt['latency_s']:.1f} s · {receipt['id']}\n"
    assert result.structured_content is None


def test_the_footer_is_the_last_line_and_notes_stand_above_it() -> None:
    cut, routine = "the answer was cut at max_tokens", f"{UNASKED}: 8,192 was sent"
    receipt = Receipt("g_1", provider="p", model="m", cost_usd=0.5, cached="exact", warnings=(routine, cut))
    assert closing(receipt) == f"note: {cut}\n— p/m · $0.5 · 0.0 s · g_1 · cached"


@MODES
async def test_json_is_the_same_as_text_and_as_structure(mode: str) -> None:
    async with client(mode=mode) as session:
        result = await session.call_tool("generate", {"prompt": "What is 6*7?", "format": "json"})
    assert json.loads(result.content[0].text) == result.structured_content
    assert set(result.structured_content) == {
        "answer", "provider", "model", "finish_reason", "usage", "cost_usd", "latency_s", "id", "conversation", "warnings",
    }  # fmt: skip


async def test_an_answer_by_schema_is_the_value_itself() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with client() as session:
        result = await session.call_tool("generate", {"prompt": "What is 6*7?", "schema": schema})
    assert isinstance(result.structured_content["answer"], dict)


async def test_explaining_asks_nobody() -> None:
    app = small_app()
    async with client(app) as session:
        result = await session.call_tool("generate", {"prompt": "x", "explain": True})
    assert result.structured_content["candidates"] == [{"model": "sim/fast", "score": 0.9}]
    assert app.manager.calls == 0


@MODES
async def test_a_failure_says_the_same_in_both_forms_and_carries_the_receipt(mode: str) -> None:
    app = scripted(fast={"script": ["status:503"], "repeat": True})
    async with client(app, mode) as session:
        result = await session.call_tool("generate", {"prompt": "x"})
    error = result.structured_content["error"]
    assert result.is_error
    assert error == {
        "code": "provider_failed", "message": "All attempts failed.", "retryable": True, "retry_after_s": 7,
        "hint": "Try again later.", "next": None,
    }  # fmt: skip
    assert all(part in result.content[0].text for part in ("All attempts failed.", "provider_failed", "7", "Try again"))
    assert result.structured_content["receipt"]["attempts"][0]["outcome"] == "unavailable"


@MODES
async def test_a_refusal_is_the_same_for_a_host_that_asks_for_progress(mode: str) -> None:
    app = scripted(fast={"script": ["status:503"], "repeat": True})

    async def told(progress: float, total: float | None, message: str | None) -> None:
        del progress, total, message

    async with client(app, mode) as session:
        result = await session.call_tool("generate", {"prompt": "x"}, progress_callback=told)
    assert result.is_error
    assert "All attempts failed. [provider_failed]" in result.content[0].text
    assert result.structured_content["receipt"]["attempts"][0]["outcome"] == "unavailable"


WRONG = {
    "nothing to ask": ({}, "prompt"),
    "a blank prompt": ({"prompt": "  "}, "prompt"),
    "both a prompt and messages": ({"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "not both"),
    "an unknown name": ({"prompt": "x", "max_token": 5}, "did you mean `max_tokens`"),
    "an unknown option": ({"prompt": "x", "options": {"top": 1}}, "did you mean `top_p`"),
    "true for a number": ({"prompt": "x", "max_tokens": True}, "`max_tokens` should be"),
    "a text for a number": ({"prompt": "x", "max_tokens": "12"}, "`max_tokens` should be"),
    "a negative number": ({"prompt": "x", "max_tokens": -1}, "`max_tokens` should be"),
    "too hot": ({"prompt": "x", "temperature": 3}, "`temperature` should be"),
    "an endless deadline": ({"prompt": "x", "max_latency_s": 1e9}, "`max_latency_s` should be"),
    "a thousand stops": ({"prompt": "x", "stop": ["a"] * 1000}, "`stop`"),
    "a list as a prompt": ({"prompt": ["x"]}, "`prompt` should be"),
    "a role of no dialogue": ({"messages": [{"role": "robot", "content": "secret-canary"}]}, "`messages.0.role`"),
    "a dialogue that ends with the model": ({"messages": [{"role": "assistant", "content": "x"}]}, "end with a user"),
    "a file as an image": ({"prompt": "x", "images": ["file:///etc/passwd"]}, "https"),
    "an image that is no base64": ({"prompt": "x", "images": ["data:image/png;base64,%%%"]}, "base64"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_arguments_name_the_field_and_never_the_value(name: str) -> None:
    arguments, said = WRONG[name]
    app = small_app()
    async with client(app) as session:
        result = await session.call_tool("generate", arguments)
    text, error = result.content[0].text, result.structured_content["error"]
    assert result.is_error
    assert error["code"] == "invalid_request"
    assert said in text
    assert said in error["message"] + error["hint"]
    assert "canary" not in text
    assert "pydantic" not in text
    assert app.manager.calls == 0


@pytest.mark.parametrize("prompt", ['{"role": "x"}', "null", "[1]", "12", '"quoted"', "true"])
async def test_a_text_that_looks_like_json_stays_that_text(prompt: str) -> None:
    app = small_app()
    async with client(app) as session:
        await session.call_tool("generate", {"prompt": prompt, "system": prompt})
    assert app.manager.asked[0].request.messages[0].text == prompt
    assert app.manager.asked[0].request.system == prompt


async def test_an_explicit_null_is_absence_and_a_whole_float_an_integer() -> None:
    app = small_app()
    async with client(app) as session:
        result = await session.call_tool("generate", {"prompt": "x", "temperature": None, "max_tokens": 64.0})
    assert not result.is_error
    assert (app.manager.asked[0].request.temperature, app.manager.asked[0].request.max_tokens) == (None, 64)


async def test_when_patience_ends_there_is_a_handle_and_asking_again_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "SHORT_S", 0.2)
    app = scripted(
        fast={"latency_s": 0.0, "tokens_per_s": 20.0, "answers": ["one two three four five six seven eight nine"]}
    )
    async with client(app) as session:
        first = await session.call_tool("generate", {"prompt": "x"})
        assert "still running" in first.content[0].text
        assert first.meta["plenum/receipt"]["finish_reason"] == "running"
        handle = first.meta["plenum/receipt"]["id"]
        monkeypatch.setattr(callers, "SHORT_S", 20.0)
        by_handle = await session.call_tool("generate", {"request_id": handle})
        assert "nine" in by_handle.content[0].text
        same = await session.call_tool("generate", {"prompt": "x", "request_id": handle})
        assert same.content[0].text == by_handle.content[0].text
        other = await session.call_tool("generate", {"prompt": "y", "request_id": handle})
    assert other.structured_content["error"]["code"] == "invalid_request"
    assert app.manager.calls == 1


async def test_the_same_question_asked_twice_at_once_is_paid_once() -> None:
    app = scripted(fast={"latency_s": 0.3})
    async with client(app) as session, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(session.call_tool, "generate", {"prompt": "x"})
    assert app.manager.calls == 1


async def test_one_of_two_who_wait_may_leave() -> None:
    app = scripted(fast={"latency_s": 1.5})
    answers = []
    async with client(app) as session, anyio.create_task_group() as tasks:

        async def stay() -> None:
            answers.append(await session.call_tool("generate", {"prompt": "x"}))

        tasks.start_soon(stay)
        with anyio.move_on_after(0.15):
            await session.call_tool("generate", {"prompt": "x"})
    assert not answers[0].is_error
    assert (app.manager.calls, app.manager.cancelled) == (1, 0)


async def test_an_answer_of_another_process_is_found_by_its_id_by_its_own_caller_only() -> None:
    from mcp.types import Implementation

    async with client(client_info=Implementation(name="local", version="1")) as session:
        assert (await session.call_tool("generate", {"request_id": "g_kept"})).content[0].text.startswith("kept text")
    async with client(client_info=Implementation(name="thief", version="1")) as session:
        result = await session.call_tool("generate", {"request_id": "g_kept"})
    assert result.structured_content["error"]["code"] == "invalid_request"


async def test_models_are_listed_best_first_filtered_and_counted() -> None:
    async with client() as session:
        every = (await session.call_tool("list_models", {})).structured_content
        assert [m["id"] for m in every["models"]] == ["sim/fast", "sim/smart", "sim/slow"]
        assert every["models"][0]["price"] == {"input": 1.0, "output": 4.0, "cached_input": None}
        cheap = (await session.call_tool("list_models", {"max_price": 5, "limit": 1})).structured_content
        assert ([m["id"] for m in cheap["models"]], cheap["omitted"]) == (["sim/fast"], 1)
        assert (await session.call_tool("list_models", {"query": "SMART"})).structured_content["models"][0][
            "model"
        ] == "smart"


async def test_a_models_status_is_what_holds_it_back_or_how_it_fails_and_what_can_be_asked_comes_first() -> None:
    app = small_app()
    held = {"sim/fast": "open"}
    app.guard = SimpleNamespace(standing=lambda deployment: held.get(deployment.name))
    app.health = SimpleNamespace(
        model=lambda name: ModelHealth(0.9999999999, 2.00000004, 0.5, degraded=name == "sim/smart")
    )
    async with client(app) as session:
        told = (await session.call_tool("list_models", {})).structured_content
        held["sim/fast"] = "limited"
        again = (await session.call_tool("list_models", {"query": "fast"})).structured_content
    states = [(model["id"], model["status"]) for model in told["models"]]
    assert states == [("sim/smart", "degraded"), ("sim/fast", "open"), ("sim/slow", "no_key")]
    assert "1 can be asked now" in told["summary"]
    assert again["models"][0]["status"] == "limited"
    assert told["models"][0]["health"] == {"latency_p50_s": 1.0, "latency_p95_s": 2.0, "success_rate": 0.5}


async def test_every_tool_says_that_it_only_reads_and_its_two_titles_agree() -> None:
    async with client() as session:
        tools = (await session.list_tools()).tools
    assert [t.name for t in tools if t.name in ("generate", "fuse", "list_models", "costs")] == [t.name for t in tools]
    for tool in tools:
        hints = tool.annotations
        assert (hints.read_only_hint, hints.destructive_hint, hints.open_world_hint) == (True, False, False)
        assert hints.idempotent_hint is (tool.name in ("list_models", "costs"))
        assert tool.title == hints.title
        assert tool.input_schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & set(tool.input_schema)
        assert tool.input_schema["additionalProperties"] is False
    assert tools[0].output_schema is None
    assert tools[0].meta["anthropic/alwaysLoad"] is True
    assert len(INSTRUCTIONS.encode()) <= 2048


async def test_what_a_model_is_shown_is_within_its_budget() -> None:
    from providers.catalog import tokens

    async with client() as session:
        tools = (await session.list_tools()).tools
    shown = "\n".join(
        f"{t.name}\n{t.description}\n{json.dumps(t.input_schema, separators=(',', ':'), ensure_ascii=False)}"
        for t in tools
    )
    frame = json.dumps([t.model_dump(by_alias=True, exclude_none=True) for t in tools], ensure_ascii=False)
    assert tokens.exact_text(shown) <= 1_500
    assert tokens.exact_text(frame) <= 2_600


async def test_a_fault_nobody_foresaw_is_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    app = small_app()

    async def broken(ask, tell):
        raise KeyError("sk-canary")

    app.manager.generate = broken
    async with client(app) as session:
        result = await session.call_tool("generate", {"prompt": "x"})
    assert result.structured_content["error"]["code"] in CODES
    assert "canary" not in result.content[0].text + json.dumps(result.structured_content) + caplog.text
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"provider": "smi"}, "No provider is named 'smi' (did you mean `sim`?)."),
        ({"query": "smrt"}, "No model's name holds 'smrt' (did you mean `smart`?)."),
        ({"max_price": 0}, "0 models match. Leave out provider, query, require or max_price."),
    ],
)
async def test_an_empty_list_says_why_and_what_to_ask_instead(asked: dict, told: str) -> None:
    async with client() as session:
        found = (await session.call_tool("list_models", asked)).structured_content
    assert (found["models"], found["summary"]) == ([], told)


@MODES
async def test_a_tool_or_prompt_nobody_has_is_a_protocol_error_that_tells_the_nearest(mode: str) -> None:
    async with client(mode=mode) as session:
        with pytest.raises(MCPError, match="no tool `generat` .did you mean `generate`") as tool:
            await session.call_tool("generat", {"prompt": "x"})
        with pytest.raises(MCPError, match="no prompt `setle` .did you mean `settle`") as prompt:
            await session.get_prompt("setle")
    assert {tool.value.error.code, prompt.value.error.code} == {INVALID_PARAMS}


@MODES
async def test_a_prompt_without_what_it_needs_says_what_that_is(mode: str) -> None:
    async with client(mode=mode) as session:
        with pytest.raises(MCPError, match="`settle` needs `question`") as told:
            await session.get_prompt("settle", {"options": "a"})
        assert (await session.get_prompt("settle", {"question": "q"})).messages
    assert told.value.error.code == INVALID_PARAMS


async def test_what_cannot_be_read_tells_the_nearest_or_where_all_are() -> None:
    async with client() as session:
        for uri, told in {
            "plenum://models/sim/smrt": "no model sim/smrt here. Did you mean sim/smart",
            "plenum://providers/smi": "no provider smi here. Did you mean sim",
            "plenum://providers/nobody": "plenum://providers lists all",
        }.items():
            with pytest.raises(MCPError, match=told):
                await session.read_resource(uri)
        templates = (await session.list_resource_templates()).resource_templates
    assert [t.name for t in templates] == ["model", "provider", "costs", "decision", "answer"]
