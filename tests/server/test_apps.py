"""The dashboard as an MCP App, as a client finds it."""

import sys
from pathlib import Path

import pytest
from mcp import Client

sys.path.insert(0, str(Path(__file__).parent))

from household import opener_of, small_app

from server.face import face
from server.house import House
from server.page.html import page

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_costs_and_fuse_name_a_page_that_can_be_read(mode: str) -> None:
    async with Client(face(House(opener_of(small_app()))), mode=mode, read_timeout_seconds=20) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        uris = {name: ((tool.meta or {}).get("ui") or {}).get("resourceUri") for name, tool in tools.items()}
        assert uris == {
            "generate": None,
            "fuse": "ui://plenum/dashboard",
            "list_models": None,
            "costs": "ui://plenum/dashboard",
        }
        (content,) = (await client.read_resource("ui://plenum/dashboard")).contents
    assert content.mime_type == "text/html;profile=mcp-app"
    assert content.text == page()
