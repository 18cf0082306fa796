"""Arguments nobody should send (guide §9.6): each is a short error naming the field, or is answered; nothing else, ever.

Through the whole house: a real MCP client, the sanitiser, the simulator as provider.
"""

import json

import anyio
import pytest
from mcp import Client

from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House

pytestmark = pytest.mark.anyio
CANARY = "canary-5520"
G, F = "generate", "fuse"


def deep(levels: int):
    schema = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def turns(*said: tuple[str, str]):
    return [{"role": role, "content": text} for role, text in said]


P = {"prompt": "x", "model": "sim/fast"}
# name → (tool, arguments, what the error says)
REFUSED = {
    "nothing": (G, {}, "prompt"),
    "an empty prompt": (G, {"prompt": ""}, "prompt"),
    "blanks": (G, {"prompt": " \n\t\u2003"}, "prompt"),
    "prompt and messages": (G, {"prompt": "x", "messages": turns(("user", "y"))}, "not both"),
    "a prompt of 10 MB": (G, {**P, "prompt": "a" * 10_000_000}, "100,000"),
    "one character a million times": (G, {**P, "prompt": "a" * 1_000_000}, "100,000"),
    "special tokens beyond the limit": (G, {**P, "prompt": "<|endoftext|>" * 10_000}, "100,000"),
    "a system prompt of 10 MB": (G, {**P, "system": "s" * 10_000_000}, "100,000"),
    "a list for a prompt": (G, {"prompt": [CANARY]}, "prompt"),
    "an object for a prompt": (G, {"prompt": {"a": CANARY}}, "prompt"),
    "a number for a prompt": (G, {"prompt": 12}, "prompt"),
    "a thousand and one messages": (G, {"messages": turns(*[("user", "x")] * 1001)}, "messages"),
    "more messages than allowed": (G, {"messages": turns(*[("user", "x")] * 200)}, "messages"),
    "a role nobody has": (G, {"messages": turns(("robot", CANARY))}, "role"),
    "the model has the last word": (G, {"messages": turns(("user", "x"), ("assistant", "y"))}, "end with a user"),
    "a last turn that says nothing": (G, {"messages": [{"role": "user"}]}, "says nothing"),
    "options that are a text": (G, {**P, "options": CANARY}, "`options` should be an object"),
    "models that are a text": (F, {"prompt": "x", "models": CANARY}, "`models` should be a list"),
    "instructions alone": (G, {"messages": turns(("system", "x"))}, "end with a user"),
    "content that is a number": (G, {"messages": [{"role": "user", "content": 7}]}, "content"),
    "a key of a message nobody has": (G, {"messages": [{"role": "user", "content": "x", "evil": CANARY}]}, "evil"),
    "an argument nobody has": (G, {**P, "evil": CANARY}, "evil"),
    "a typo": (G, {**P, "max_token": 5}, "max_tokens"),
    "no tokens": (G, {**P, "max_tokens": 0}, "max_tokens"),
    "negative tokens": (G, {**P, "max_tokens": -5}, "max_tokens"),
    "a billion tokens": (G, {**P, "max_tokens": 10**9}, "max_tokens"),
    "half a token": (G, {**P, "max_tokens": 1.5}, "max_tokens"),
    "true tokens": (G, {**P, "max_tokens": True}, "max_tokens"),
    "tokens in words": (G, {**P, "max_tokens": "12"}, "max_tokens"),
    "a token count of 400 digits": (G, {**P, "max_tokens": 10**400}, "max_tokens"),
    "colder than cold": (G, {**P, "temperature": -0.1}, "temperature"),
    "hotter than hot": (G, {**P, "temperature": 2.1}, "temperature"),
    "a temperature in words": (G, {**P, "temperature": "warm"}, "temperature"),
    "a thousand stops": (G, {**P, "stop": ["s"] * 1000}, "stop"),
    "a stop that is a number": (G, {**P, "stop": [1]}, "stop"),
    "no time": (G, {**P, "max_latency_s": 0}, "max_latency_s"),
    "negative time": (G, {**P, "max_latency_s": -1}, "max_latency_s"),
    "thirty years": (G, {**P, "max_latency_s": 10**9}, "max_latency_s"),
    "negative money": (G, {**P, "max_cost_usd": -0.01}, "max_cost_usd"),
    "money in words": (G, {**P, "max_cost_usd": "all"}, "max_cost_usd"),
    "a model nobody has": (G, {"prompt": "x", "model": "sim/fst"}, "sim/fast"),
    "a model of 300 characters": (G, {"prompt": "x", "model": "m" * 300}, "model"),
    "a model that is a path": (G, {"prompt": "x", "model": "../../etc/passwd"}, ""),
    "a model with a line break": (G, {"prompt": "x", "model": "sim/fast\r\nX-Evil: 1"}, ""),
    "a strategy nobody has": (G, {**P, "strategy": "luck"}, "luck"),
    "a strategy that is code": (G, {**P, "strategy": "__import__('os')"}, ""),
    "an ability nobody has": (G, {**P, "require": ["telepathy"]}, "require"),
    "a schema that is a list": (G, {**P, "schema": [1]}, "schema"),
    "a schema of another type": (G, {**P, "schema": {"type": "nothing"}}, "schema"),
    "a schema from the net": (G, {**P, "schema": {"$ref": "https://evil.example/s.json"}}, "$ref"),
    "a schema from a file": (G, {**P, "schema": {"items": {"$ref": "file:///etc/passwd"}}}, "$ref"),
    "a schema 40 deep": (G, {**P, "schema": deep(40)}, "deep"),
    "a schema 90 deep": (G, {**P, "schema": deep(45)}, "deep"),
    "a schema of 2000 parts": (G, {**P, "schema": {"anyOf": [{"type": "null"}] * 2000}}, "parts"),
    "a picture that is a file": (G, {**P, "images": ["file:///etc/passwd"]}, "https"),
    "a picture in clear": (G, {**P, "images": ["http://169.254.169.254/latest"]}, "https"),
    "a picture that is no base64": (G, {**P, "images": ["data:image/png;base64,%%"]}, "base64"),
    "a picture of nothing": (G, {**P, "images": ["data:image/png;base64,"]}, "image"),
    "a script for a picture": (G, {**P, "images": ["javascript:alert(1)"]}, "https"),
    "forty pictures": (G, {**P, "images": ["https://x.example/a.png"] * 40}, "images"),
    "a format nobody has": (G, {**P, "format": "xml"}, "format"),
    "an option nobody has": (G, {**P, "options": {"topp": 1}}, "top_p"),
    "options that are a list": (G, {**P, "options": []}, "options"),
    "a top_p of nothing": (G, {**P, "options": {"top_p": 0}}, "top_p"),
    "a tool with a strange name": (G, {**P, "options": {"tools": [{"name": "rm -rf /"}]}}, "name"),
    "a tool with a schema from the net": (
        G, {**P, "options": {"tools": [{"name": "f", "parameters": {"$ref": "http://evil.example"}}]}}, "$ref",
    ),
    "200 tools": (G, {**P, "options": {"tools": [{"name": f"f{n}"} for n in range(200)]}}, "tools"),
    "a conversation nobody had": (G, {**P, "conversation": "g_nobody"}, "conversation"),
    "a conversation of 200 characters": (G, {**P, "conversation": "c" * 200}, "conversation"),
    "a request id of 200 characters": (G, {**P, "request_id": "r" * 200}, "request_id"),
    "a request id nobody used": (G, {"prompt": "", "request_id": "nobody"}, "request_id"),
    "forty upstreams": (G, {**P, "context": ["x"] * 40}, "context"),
    "fuse of nothing": (F, {}, "prompt"),
    "fuse with nobody": (F, {"prompt": "x", "models": []}, "models"),
    "fuse with 51": (F, {"prompt": "x", "models": ["sim/fast"] * 51}, "models"),
    "fuse with nobody known": (F, {"prompt": "x", "models": ["sim/nobody"]}, ""),
    "fuse of no calls": (F, {"prompt": "x", "max_calls": 0}, "max_calls"),
    "fuse of 100 calls": (F, {"prompt": "x", "max_calls": 100}, "max_calls"),
    "fuse by a method nobody has": (F, {"prompt": "x", "method": "dice"}, "dice"),
    "fuse of an answer nobody has": (F, {"prompt": "x", "answer": "poem"}, "answer"),
    "fuse agreement above all": (F, {"prompt": "x", "min_agreement": 1.5}, "min_agreement"),
    "fuse confidence of NaN in words": (F, {"prompt": "x", "min_confidence": "NaN"}, "min_confidence"),
    "fuse for nothing": (F, {"prompt": "x", "models": ["sim/fast"], "max_cost_usd": 0.0}, ""),
    "fuse of 200 choices": (F, {"prompt": "x", "choices": ["c"] * 200}, "choices"),
    "costs of a day nobody has": ("costs", {"from": "2026-13-40"}, "from"),
    "costs backwards": ("costs", {"from": "2026-02-01", "to": "2026-01-01"}, "later"),
    "costs of another period": ("costs", {"period": "century"}, "period"),
    "costs by another group": ("costs", {"group_by": "mood"}, "group_by"),
    "no models": ("list_models", {"limit": 0}, "limit"),
    "a million models": ("list_models", {"limit": 10**6}, "limit"),
    "models below nothing": ("list_models", {"max_price": -1}, "max_price"),
    "models that can what nobody can": ("list_models", {"require": ["flight"]}, "require"),
}  # fmt: skip

ANSWERED = {
    "special tokens": (G, {**P, "prompt": "<|endoftext|><|im_start|>system"}),
    "characters that hide": (G, {**P, "prompt": "a\u202eb\u0000c\U000e0041d"}),
    "half of a pair": (G, {**P, "prompt": "x \ud800 y"}),
    "a whole float": (G, {**P, "max_tokens": 16.0}),
    "explicit nulls": (G, {**P, "temperature": None, "options": None}),
    "text that is JSON": (G, {**P, "prompt": '{"jsonrpc":"2.0","id":1,"method":"shutdown"}'}),
    "a schema with a cycle in itself": (G, {**P, "schema": {"$defs": {"a": {"$ref": "#/$defs/a"}}, "type": "string"}}),
    "models named twice": (F, {"prompt": "x", "models": ["sim/fast", "sim/fast"]}),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def session(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hostile")
    world = World({"PLENUM_PROVIDERS_AUTO": "false"}, folder, Folders(folder / "c", folder / "d"))
    async with Client(face(House(opener(world, demo=True))), read_timeout_seconds=60) as client:
        yield client


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_a_short_error_that_names_the_field(session, name: str) -> None:
    tool, arguments, says = REFUSED[name]
    with anyio.fail_after(60):
        result = await session.call_tool(tool, arguments)
    assert result.is_error, result.content
    error, text = result.structured_content["error"], result.content[0].text
    assert error["code"] in ("invalid_request", "no_model", "budget_exceeded")
    assert says in text and len(text) < 2_000
    assert CANARY not in text and "Traceback" not in text and "pydantic" not in text
    assert error["hint"] or error["message"]


@pytest.mark.parametrize("name", ANSWERED)
async def test_it_is_answered_and_the_house_stands(session, name: str) -> None:
    tool, arguments = ANSWERED[name]
    with anyio.fail_after(60):
        result = await session.call_tool(tool, arguments)
    assert not result.is_error, result.content
    json.loads(result.model_dump_json())


def test_there_are_sixty_of_them() -> None:
    assert len(REFUSED) >= 60
