"""A call that is answered straight is answered in the SDK's own words: results, questions, refusals and protocol errors."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
)

sys.path.insert(0, str(Path(__file__).parent))

from lines import META, by_id, call, packed, piped, request

from server.mcp.exact import Arguments, Label, Unanswered, tool
from server.mcp.straight import Straight

FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
QUESTION = ElicitRequest(params=ElicitRequestFormParams(message="Sure?", requested_schema=FORM))


class Said(Arguments):
    """Answers in the way that is asked for."""

    how: str


async def handle(arguments: Said, ctx: Any) -> Any:
    match arguments.how:
        case "text":
            content = [TextContent(type="text", text="Héllo")]
            return CallToolResult(content=content, _meta={"receipt": {"cost": None, "cached": "no"}})
        case "data":
            content = [TextContent(type="text", text='{"n": null}')]
            return CallToolResult(content=content, structured_content={"n": None, "list": [1, 2.5]})
        case "question":
            raise Unanswered(InputRequiredResult(input_requests={"sure": QUESTION}))
        case "protocol":
            raise MCPError(INVALID_PARAMS, "No such thing", {"thing": 1})
        case _:
            raise LookupError(arguments.how)


def refused(fault: Exception) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=type(fault).__name__)], is_error=True)


def server(*, straight: bool) -> MCPServer[Any]:
    said = tool(Label("said", "Say"), Said, handle, refused)
    found = MCPServer[Any]("both", version="1", tools=[said])
    if straight:
        found.middleware.append(Straight(found, [said]))
    return found


async def told(client: Client, how: str) -> Any:
    try:
        result = await client.session.call_tool("said", {"how": how}, allow_input_required=True)
    except MCPError as fault:
        return fault.error
    return result.model_dump(by_alias=True)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("how", ["text", "data", "question", "protocol", "refusal"])
async def test_the_straight_way_says_what_the_sdk_says(mode: Any, how: str) -> None:
    async with Client(server(straight=True), mode=mode) as one, Client(server(straight=False), mode=mode) as two:
        assert await told(one, how) == await told(two, how)


def test_a_call_that_is_no_call_is_a_protocol_error() -> None:
    bad = [
        request(1, "tools/call", name="generate", arguments=[1], _meta=META),
        request(2, "tools/call", name="generate", arguments={}, inputResponses=3, _meta=META),
        request(3, "tools/call", arguments={}, _meta=META),
    ]
    replies = by_id(piped(packed(*bad, call(4, modern=True))))
    assert [replies[id]["error"]["code"] for id in (1, 2, 3)] == [INVALID_PARAMS] * 3
    assert replies[4]["result"]["content"]


def test_a_client_of_the_newest_era_may_begin_with_a_notification() -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    assert by_id(piped(packed(note, call(1, modern=True))))[1]["result"]["resultType"] == "complete"
