"""Secrets in prompts by policy, at every door: generate, fuse, /v1 chat, responses and embeddings; asked about in both eras."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

from providers.types import Message, Request, Text
from routing.types import Ask
from tests.server.http.wire import modern
from tests.server.security.homes import home

pytestmark = pytest.mark.anyio
SECRET = "ghp_" + "a1B2" * 9
EMBED = """
[[providers.one.models]]
id = "embed"
context_window = 8192
capabilities = ["embeddings"]
price = { input = 0.1, output = 0.0 }
"""


def policy(name: str) -> str:
    return f'{EMBED}[security]\nsecrets = "{name}"\n'


DOORS = {
    "chat": ("/v1/chat/completions", {"model": "one/fast", "messages": [{"role": "user", "content": f"key {SECRET}"}]}),
    "chat, streamed": (
        "/v1/chat/completions",
        {"model": "one/fast", "stream": True, "messages": [{"role": "system", "content": SECRET}, {"role": "user", "content": "x"}]},
    ),
    "responses": ("/v1/responses", {"model": "one/fast", "input": f"key {SECRET}"}),
    "embeddings": ("/v1/embeddings", {"model": "one/embed", "input": ["plain", f"key {SECRET}"]}),
    "generate": ("/mcp", {"name": "generate", "arguments": {"prompt": f"key {SECRET}", "model": "one/fast"}}),
    "fuse": ("/mcp", {"name": "fuse", "arguments": {"prompt": f"key {SECRET}", "models": ["one/fast"]}}),
}  # fmt: skip


async def knock(house, name: str) -> tuple[int, bytes]:
    path, body = DOORS[name]
    if path == "/mcp":
        return await house.post(*modern("tools/call", body["name"], **body), patience=30)
    return await house.post(json.dumps(body).encode(), path=path, patience=30)


@pytest.mark.parametrize("name", DOORS)
async def test_a_secret_is_replaced_before_any_provider_sees_it(tmp_path: Path, name: str) -> None:
    async with home(tmp_path, policy("redact")) as house:
        status, _ = await knock(house, name)
        sent = json.dumps(await house.log())
    assert status == 200 and SECRET not in sent and "[redacted]" in sent


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("how", ["refuse", "ask"])
async def test_where_it_is_refused_or_nobody_can_be_asked_nothing_is_sent(tmp_path: Path, name: str, how: str) -> None:
    async with home(tmp_path, policy(how)) as house:
        status, answer = await knock(house, name)
        assert await house.log() == []
    assert status == (200 if DOORS[name][0] == "/mcp" else 403)
    assert b"seems to hold a secret" in answer and SECRET.encode() not in answer


@pytest.mark.parametrize("name", DOORS)
async def test_where_it_is_allowed_it_is_sent_as_it_is(tmp_path: Path, name: str) -> None:
    async with home(tmp_path, policy("allow")) as house:
        assert (await knock(house, name))[0] == 200
        assert SECRET in json.dumps(await house.log())


async def test_two_thousand_texts_may_be_embedded_at_once_and_one_too_long_is_refused(tmp_path: Path) -> None:
    async with home(tmp_path, policy("redact")) as house:
        many = json.dumps({"model": "one/embed", "input": [f"t{n}" for n in range(2048)]}).encode()
        assert (await house.post(many, path="/v1/embeddings", patience=30))[0] == 200
        long = json.dumps({"model": "one/embed", "input": ["x" * 100_001]}).encode()
        status, answer = await house.post(long, path="/v1/embeddings", patience=30)
        assert status == 400 and b"100,000" in answer


@asynccontextmanager
async def hosted(house, mode: str, answer: ElicitResult | None):
    asked: list[str] = []

    async def elicit(ctx, params) -> ElicitResult:
        asked.append(params.message)
        return answer

    more = {"elicitation_callback": elicit} if answer is not None else {}
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}, timeout=30) as http:
        wire = streamable_http_client(f"http://127.0.0.1:{house.port}/mcp", http_client=http)
        async with Client(wire, mode=mode, read_timeout_seconds=30, **more) as client:
            yield client, asked


YES = ElicitResult(action="accept", content={"ok": True})
NO = ElicitResult(action="accept", content={"ok": False})
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
TOOLS = pytest.mark.parametrize("tool", ["generate", "fuse"])


def arguments(tool: str) -> dict:
    return {"prompt": f"key {SECRET}", **({"model": "one/fast"} if tool == "generate" else {"models": ["one/fast"]})}


@ERAS
@TOOLS
async def test_a_persons_yes_sends_the_secret_this_once(tmp_path: Path, mode: str, tool: str) -> None:
    with anyio.fail_after(60):
        async with home(tmp_path, policy("ask")) as house:
            async with hosted(house, mode, YES) as (client, asked):
                result = await client.call_tool(tool, arguments(tool))
                assert not result.is_error, result.content
                assert len(asked) == 1 and "GitHub token" in asked[0] and SECRET not in asked[0]
                assert SECRET in json.dumps(await house.log())
                await client.call_tool(tool, {**arguments(tool), "system": "Another question."})
                assert len(asked) == 2  # once means once


@ERAS
@TOOLS
@pytest.mark.parametrize(
    "answer", [NO, ElicitResult(action="decline"), None], ids=["no", "declined", "cannot be asked"]
)
async def test_without_a_yes_the_secret_stays_here(tmp_path: Path, mode: str, tool: str, answer) -> None:
    with anyio.fail_after(60):
        async with home(tmp_path, policy("ask")) as house:
            async with hosted(house, mode, answer) as (client, _):
                result = await client.call_tool(tool, arguments(tool))
            assert result.is_error and result.structured_content["error"]["code"] == "policy"
            assert SECRET not in result.model_dump_json()
            assert await house.log() == []


async def test_a_cached_answer_tells_the_warnings_of_who_asks_now(tmp_path: Path) -> None:
    def put(prompt: str) -> Ask:
        request = Request((Message("user", (Text(prompt),)),), max_tokens=64)
        return Ask(request, model="one/fast", caller="ann", key=token_hex(8))

    async with home(tmp_path, policy("redact")) as house:
        first = await house.app.manager.generate(put(f"key {SECRET}"))
        plain = await house.app.manager.generate(put("key [redacted]"))
        again = await house.app.manager.generate(put(f"key {SECRET}"))
        hidden = await house.app.manager.generate(put("key [redac\u202eted]"))
        assert len(await house.log()) == 1
    assert [r.receipt.cached for r in (first, plain, again, hidden)] == ["no", "exact", "exact", "exact"]
    told = [[w for w in r.receipt.warnings if "max_tokens" not in w] for r in (first, plain, again, hidden)]
    assert told[0] == told[2] and "GitHub token" in told[0][0]
    assert told[1] == [] and "invisible" in told[3][0]
