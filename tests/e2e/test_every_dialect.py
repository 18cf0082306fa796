"""A host over stdio, our server, and a provider over real HTTP in each dialect: the whole way, with a real MCP client."""

import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import Implementation

from providers.simulator import Conduct, Scenario, parse_fault
from providers.simulator.server import serve

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
WIRES = {
    "openai_chat": "/openai/v1",
    "openai_responses": "/openai/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini/v1beta",
    "ollama": "/ollama",
    "cohere": "/cohere",
}
PROVIDER = """
[providers.{name}]
dialect = "{dialect}"
base_url = "{base}"
priority = {priority}
api_key = "sk-test-canary"
[[providers.{name}.models]]
id = "fast"
context_window = 32000
capabilities = ["streaming", "tools", "json", "sampling"]
price = {{ input = 1.0, output = 2.0 }}
"""


def host(home: Path, config: str, name: str = "mcp") -> Client:
    (home / "plenum.toml").write_text("[providers]\nauto = false\n" + config)
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG")}
    environment = {**keep, "PLENUM_HOME": str(home), "PYTHONPATH": str(ROOT)}
    server = StdioServerParameters(command=sys.executable, args=["-m", "server"], env=environment, cwd=str(home))
    return Client(server, client_info=Implementation(name=name, version="1"))


@pytest.mark.parametrize("dialect", WIRES)
async def test_a_host_gets_an_answer_through_this_dialect(tmp_path: Path, dialect: str) -> None:
    with anyio.fail_after(60):
        async with serve() as base:
            config = PROVIDER.format(name="one", dialect=dialect, base=base + WIRES[dialect], priority=1)
            async with host(tmp_path, config) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
                result = await client.call_tool("generate", {"prompt": "What is 17 + 25?", "model": "one/fast"})
    assert "generate" in names and not result.is_error, result.content
    receipt = result.meta["plenum/receipt"]
    assert "42" in result.content[0].text and receipt["finish_reason"] == "stop"
    assert receipt["cost_basis"] in ("priced", "reported") and receipt["usage"]["output"] > 0
    assert "canary" not in str(result)


async def test_a_host_sees_one_answer_while_the_first_provider_dies_after_ten_tokens(tmp_path: Path) -> None:
    broken = Scenario(models={"openai_chat/fast": Conduct(script=(parse_fault("cut_stream"),), repeat=True)})
    with anyio.fail_after(60):
        async with serve(broken) as base:
            config = PROVIDER.format(name="a", dialect="openai_chat", base=base + "/openai/v1", priority=2)
            config += PROVIDER.format(name="b", dialect="anthropic", base=base + "/anthropic", priority=1)
            async with host(tmp_path, config) as client:
                result = await client.call_tool("generate", {"prompt": "Tell me about rivers.", "model": "fast"})
    attempts = result.meta["plenum/receipt"]["attempts"]
    assert [(a["provider"], a["outcome"]) for a in attempts] == [("a", "truncated"), ("b", "ok")]
    assert not result.is_error and result.content[0].text.count("[simulated]") == 1


async def test_with_no_key_and_no_engine_the_server_starts_and_says_what_to_do_in_three_ways(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with host(tmp_path, "") as client:
            assert len((await client.list_tools()).tools) >= 2
            result = await client.call_tool("generate", {"prompt": "hello"})
    text = result.content[0].text
    assert result.is_error and result.structured_content["error"]["code"] == "no_model"
    assert "OPENAI_API_KEY" in text and "Ollama" in text and "demo" in text


async def test_two_hosts_share_one_budget(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with serve() as base:
            config = PROVIDER.format(name="one", dialect="openai_chat", base=base + "/openai/v1", priority=1)
            config += "[budget]\ndaily_usd = 0.002\n"
            async with host(tmp_path, config) as claude, host(tmp_path, config) as cursor:
                first = await claude.call_tool("generate", {"prompt": "hello", "max_tokens": 200})
                refused = None
                for number in range(60):
                    arguments = {"prompt": f"question {number}", "max_tokens": 200}
                    refused = await cursor.call_tool("generate", arguments)
                    if refused.is_error:
                        break
    assert not first.is_error and refused is not None
    assert refused.structured_content["error"]["code"] == "budget_exceeded"
