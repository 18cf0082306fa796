"""A token's models are the only ones it gets, whichever way leads to a model: looked up in what the provider saw."""

import json
import time
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from providers.simulator import Conduct, Scenario, parse_fault
from providers.types import Message, Request, Text
from routing.errors import Refusal
from routing.fusion.ask import FuseAsk
from routing.store.tokens import Token
from routing.types import Ask
from server.batching import Bits, Defaults, lines
from server.security.tokens import digest, fresh
from tests.server.http.wire import modern
from tests.server.security.homes import Home, home

pytestmark = pytest.mark.anyio
MORE = """
[[providers.one.models]]
id = "embed"
context_window = 8192
capabilities = ["embeddings"]
price = { input = 0.1, output = 0.0 }
[[providers.one.models]]
id = "third"
context_window = 32000
capabilities = ["streaming", "tools", "json", "sampling"]
price = { input = 0.5, output = 1.0 }
[models]
both = ["one/smart", "one/fast"]
[routing.fallbacks]
"fast" = ["smart", "third"]
[embeddings]
model = "one/embed"
[fusion]
judge = "one/smart"
"""
BROKEN = Scenario(models={"fast": Conduct(script=(parse_fault("status:500"),), repeat=True)})
SLOW = Scenario(models={"fast": Conduct(latency_s=1.5)})


async def ann(house: Home, *models: str, name: str = "ann") -> str:
    secret = fresh()
    token = Token(name, digest(secret), created=time.time(), models=models or ("one/fast",))
    assert await house.app.store.tokens.put(token).wait()
    return secret


async def asked(house: Home) -> set[str]:
    async with httpx.AsyncClient() as http:
        seen = (await http.get(f"{house.simulator}/_log")).json()
    return {entry["body"]["model"] for entry in seen}


def chat(model: str, **more) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": "What is 17 * 3?"}], **more}


DOORS = {
    "chat, forbidden": ("/v1/chat/completions", chat("one/smart"), 403),
    "chat, forbidden, streamed": ("/v1/chat/completions", chat("one/smart", stream=True), 403),
    "chat, bare name": ("/v1/chat/completions", chat("smart"), 403),
    "chat, group": ("/v1/chat/completions", chat("both"), 200),
    "chat, provider": ("/v1/chat/completions", chat("one/"), 200),
    "chat, quality": ("/v1/chat/completions", chat("auto", plenum={"strategy": "quality"}), 200),
    "chat, cascade": ("/v1/chat/completions", chat("auto", plenum={"strategy": "cascade"}), 200),
    "chat, streamed cascade": ("/v1/chat/completions", chat("auto", stream=True, plenum={"strategy": "cascade"}), 200),
    "responses, forbidden": ("/v1/responses", {"model": "one/smart", "input": "hi"}, 403),
    "responses, auto": ("/v1/responses", {"model": "auto", "input": "hi"}, 200),
    "embeddings, forbidden": ("/v1/embeddings", {"model": "one/embed", "input": "hi"}, 403),
    "embeddings, default": ("/v1/embeddings", {"input": "hi"}, 403),
}


@pytest.mark.parametrize("name", DOORS)
async def test_no_door_of_v1_leads_past_it(tmp_path: Path, name: str) -> None:
    path, body, expected = DOORS[name]
    async with home(tmp_path, MORE) as house:
        status, answer = await house.post(json.dumps(body).encode(), token=await ann(house), path=path)
        seen = await asked(house)
    assert status == expected, answer
    assert seen <= {"fast"}
    if expected == 403:
        assert not seen and b"token" in answer


TOOLS = {
    "generate": {"prompt": "hi", "model": "one/smart"},
    "generate, hedged": {"prompt": "hi", "options": {"hedge": True}},
    "generate, min_quality": {"prompt": "hi", "strategy": "quality"},
    "fuse, named": {"prompt": "hi", "models": ["one/smart", "one/fast", "one/third"]},
    "fuse, group": {"prompt": "hi", "models": ["both"]},
    "fuse, auto": {"prompt": "hi", "effort": "thorough"},
    "fuse, judged": {"prompt": "hi", "models": ["one/fast"], "method": "synthesize", "judge": "one/smart"},
    "fuse, escalated": {"prompt": "hi", "models": ["one/fast"], "on_low": "escalate", "min_confidence": 1.0},
}


@pytest.mark.parametrize("name", TOOLS)
async def test_no_tool_leads_past_it(tmp_path: Path, name: str) -> None:
    tool, arguments = name.partition(",")[0], TOOLS[name]
    async with home(tmp_path, MORE) as house:
        body = modern("tools/call", tool, name=tool, arguments=arguments)
        status, _ = await house.post(*body, token=await ann(house), patience=30)
        assert status == 200
        assert await asked(house) <= {"fast"}


async def test_no_fallback_leads_past_it(tmp_path: Path) -> None:
    async with home(tmp_path, MORE, BROKEN) as house:
        token = await ann(house)
        body = json.dumps(chat("fast")).encode()
        status, _ = await house.post(body, token=token, path="/v1/chat/completions", patience=30)
        assert status >= 400 and await asked(house) == {"fast"}
        allowed = await ann(house, "one/fast", "one/third", name="bob")
        assert (await house.post(body, token=allowed, path="/v1/chat/completions", patience=30))[0] == 200
        assert await asked(house) == {"fast", "third"}


async def test_no_hedge_leads_past_it(tmp_path: Path) -> None:
    """Its model is known for a heavy tail and is late: whoever may ask all of them is hedged."""
    async with home(tmp_path, MORE, SLOW) as house:
        manager = house.app.manager.beneath
        for ttft in [0.01] * 55 + [0.1] * 5:
            manager.traffic.answered("one/fast", ttft, ttft, 10)
        manager._hedger.budget = 5.0
        bound, free = await ann(house), await ann(house, "one/*", name="bob")
        body = json.dumps(chat("fast", temperature=1, plenum={"hedge": True})).encode()
        for token, reached in ((bound, {"fast"}), (free, {"fast", "smart"})):
            assert (await house.post(body, token=token, path="/v1/chat/completions", patience=30))[0] == 200
            assert await asked(house) == reached


async def test_a_batch_of_its_asks_leads_nowhere_else(tmp_path: Path) -> None:
    """`plenum batch` asks as the shell; whoever runs one with a caller's name is bound as that caller is."""
    async with home(tmp_path, MORE) as house:
        await ann(house)
        file = BytesIO(b'{"prompt": "a", "model": "one/smart"}\n{"prompt": "b"}\n')
        smart, free = lines(file, Defaults({}, "ann"), Bits())
        with pytest.raises(Refusal, match="token"):
            await house.app.manager.generate(smart.ask)
        assert (await house.app.manager.generate(free.ask)).receipt.model == "fast"
        assert await asked(house) == {"fast"}


async def test_fusion_asked_from_inside_is_bound_too(tmp_path: Path) -> None:
    async with home(tmp_path, MORE) as house:
        await ann(house)
        request = Request((Message("user", (Text("What is 2+2?"),)),), max_tokens=32)
        result = await house.app.fusion.fuse(FuseAsk(Ask(request, caller="ann")))
        assert {c.model for c in result.candidates} == {"fast"}
        assert await asked(house) == {"fast"}
