"""What belongs to one caller is not there for another: handles, resources, costs, conversations, jobs (guide §8.1)."""

import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ResourceTemplateReference

from routing.store.tokens import Token
from server.cli import Exit
from server.cli.serve import _tokens
from server.config.load import Folders, load
from server.security.tokens import digest, fresh
from tests.server.security.homes import home

pytestmark = pytest.mark.anyio
CANARY = "canary-of-ann-7731"
PROVIDERS = "plenum://providers"


async def granted(house, name: str, **more) -> str:
    secret = fresh()
    assert await house.app.store.tokens.put(Token(name, digest(secret), created=time.time(), **more)).wait()
    return secret


@asynccontextmanager
async def talking(house, token: str):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        wire = streamable_http_client(f"http://127.0.0.1:{house.port}/mcp", http_client=http)
        async with Client(wire, read_timeout_seconds=30) as client:
            yield client


@asynccontextmanager
async def two(folder: Path):
    """A house, Ann who asked something, and Bob."""
    with anyio.fail_after(60):
        async with home(folder) as house:
            ann = await granted(house, "ann", scopes=("generate",), daily_usd=1.0)
            bob = await granted(house, "bob", scopes=("generate",), daily_usd=2.0)
            async with talking(house, ann) as first, talking(house, bob) as second:
                asked = {"prompt": f"Remember {CANARY}", "model": "one/fast", "request_id": "ann-1", "task": CANARY}
                answer = await first.call_tool("generate", asked)
                assert not answer.is_error
                fused = await first.call_tool("fuse", {"prompt": f"Is {CANARY} odd?", "models": ["one/fast"]})
                ids = [answer.meta["plenum/receipt"]["id"], fused.structured_content["id"]]
                yield house, first, second, ids


async def test_no_resource_tells_one_caller_of_another(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, ann, bob, ids):
        uris = [str(each.uri) for each in (await bob.list_resources()).resources]
        uris += [f"plenum://costs/{period}" for period in ("today", "7d", "30d", "month", "all")]
        uris += ["plenum://models/one/fast", "plenum://providers/one"]
        for uri in uris:
            told = (await bob.read_resource(uri)).model_dump_json()
            assert CANARY not in told and "ann" not in told.replace("chann", ""), uri
        for id in ids:
            for kind in ("answers", "decisions"):
                assert (await ann.read_resource(f"plenum://{kind}/{id}")).contents
                with pytest.raises(Exception, match="of yours"):
                    await bob.read_resource(f"plenum://{kind}/{id}")


async def test_no_tool_gives_one_caller_what_is_anothers(tmp_path: Path) -> None:
    async with two(tmp_path) as (house, _, bob, ids):
        fetched = await bob.call_tool("generate", {"prompt": "", "request_id": "ann-1"})
        assert fetched.is_error and "kept" in fetched.content[0].text
        again = await bob.call_tool(
            "generate", {"prompt": f"Remember {CANARY}", "model": "one/fast", "request_id": "ann-1"}
        )
        assert again.meta["plenum/receipt"]["cached"] == "no"  # his own question under his own id
        sent = len(await house.log())
        goes_on = await bob.call_tool("generate", {"prompt": "Go on", "model": "one/fast", "conversation": ids[0]})
        assert goes_on.is_error and len(await house.log()) == sent
        reference = ResourceTemplateReference(uri="plenum://answers/{id}")
        offered = await bob.complete(reference, {"name": "id", "value": ""})
        assert not set(ids) & set(offered.completion.values)


async def test_costs_are_the_callers_own_unless_it_may_everything(tmp_path: Path) -> None:
    async with two(tmp_path) as (house, ann, bob, _):
        hers = (await ann.call_tool("costs", {"group_by": "caller"})).structured_content
        his = (await bob.call_tool("costs", {"group_by": "caller"})).structured_content
        assert hers["calls"] == 2 and [g["key"] for g in hers["groups"]] == ["ann"]
        assert his["calls"] == 0 and his["groups"] == []
        assert {b["scope"] for b in his["budgets"] if b["scope"].startswith("caller:")} <= {"caller:bob"}
        assert "ann" not in json.dumps(his)
        for name, scopes, calls in (("root", ("admin",), 2), ("all", (), 2), ("reader", ("read",), 0)):
            async with talking(house, await granted(house, name, scopes=scopes)) as client:
                found = (await client.call_tool("costs", {"group_by": "caller"})).structured_content
                assert found["calls"] == calls


async def test_what_a_provider_was_paid_is_told_of_the_callers_own_calls_unless_it_may_everything(
    tmp_path: Path,
) -> None:
    def spent(listed: dict) -> float:
        (one,) = [provider for provider in listed["providers"] if provider["provider"] == "one"]
        return one["spend"]["today_usd"]

    async def paid(client: Client) -> set[float]:
        """What every way to the provider says of today."""
        told = [(await client.read_resource(uri)).contents[0].text for uri in (f"{PROVIDERS}/one", PROVIDERS)]
        one, listed = [json.loads(text) for text in told]
        return {one["spend"]["today_usd"], spent(listed)}

    async with two(tmp_path) as (house, ann, bob, _):
        (hers,) = await paid(ann)
        assert hers > 0 and await paid(bob) == {0}
        for name, scopes, usd in (("root", ("admin",), hers), ("all", (), hers), ("reader", ("read",), 0)):
            token = await granted(house, name, scopes=scopes)
            async with talking(house, token) as client, httpx2.AsyncClient() as http:
                assert await paid(client) == {usd}
                url = f"http://127.0.0.1:{house.port}/api/health"
                health = (await http.get(url, headers={"Authorization": f"Bearer {token}"})).json()
                assert spent(health) == usd


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_nobody_serves_off_loopback_without_tokens(tmp_path: Path, host: str, monkeypatch) -> None:
    monkeypatch.delenv("PLENUM_TOKEN", raising=False)
    with pytest.raises(Exit) as refused:
        _tokens(load(None, {}, Folders(tmp_path, tmp_path)), host)
    assert refused.value.status == 2 and "tokens" in str(refused.value)
