"""The same question again, as an outsider sees it: a real host over stdio, and a provider that keeps a log."""

import json
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client

from providers.simulator.server import serve
from tests.e2e.test_every_dialect import PROVIDER, host

pytestmark = pytest.mark.anyio


async def asked(client: Client, **more) -> str:
    arguments = {"prompt": "What is 17 + 25?", "model": "one/fast", **more}
    result = await client.call_tool("generate", arguments)
    assert not result.is_error, result.content
    return result.meta["plenum/receipt"]["cached"]


async def test_a_repeat_is_cached_when_it_may_be_and_bought_again_when_not(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with serve() as base:
            config = PROVIDER.format(name="one", dialect="openai_chat", base=base + "/openai/v1", priority=1)
            async with host(tmp_path, config) as client:
                plain = [await asked(client) for _ in range(3)]
                warm = [await asked(client, temperature=0.7) for _ in range(3)]
                named = [await asked(client, temperature=0.7, request_id="r1") for _ in range(2)]
                held = [await asked(client, request_id="r2") for _ in range(2)]
                other = await client.call_tool("generate", {"prompt": "another", "request_id": "r2"})
            async with host(tmp_path, config) as client:
                later = await asked(client), await asked(client, temperature=0.7, request_id="r1")
            async with httpx.AsyncClient() as http:
                calls = [one for one in (await http.get(f"{base}/_log")).json() if "chat" in str(one)]
    assert plain == ["no", "exact", "exact"]
    assert warm == ["no", "no", "no"]
    assert named == ["no", "replayed"]
    assert held == ["exact", "replayed"]  # a request_id holds though a cache answered
    assert other.structured_content["error"]["code"] == "invalid_request"
    assert later == ("exact", "replayed")
    assert len(calls) == 5


async def test_a_fuse_is_read_back_with_every_text_and_counted_at_once(tmp_path: Path) -> None:
    panel = ["sim/fast", "sim/smart", "sim/dissenter"]
    asked = {"prompt": "What is 17 + 25?", "models": panel, "effort": "thorough"}
    with anyio.fail_after(60):
        async with host(tmp_path, "") as client:
            fused = await client.call_tool("fuse", asked)
            spent = await client.call_tool("costs", {"period": "today"})
            uri = f"plenum://answers/{fused.structured_content['id']}"
            whole = json.loads((await client.read_resource(uri)).contents[0].text)
    assert spent.structured_content["fusion"]["count"] == 1
    assert set(whole["texts"]) == set(panel) and "43" in whole["texts"]["sim/dissenter"]
    told = {key: value for key, value in fused.structured_content.items() if key != "texts_uri"}
    assert told.items() <= whole.items()
