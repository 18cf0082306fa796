"""The one MCPServer of the house, for every transport and both eras. Never branches on a protocol version."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.mcpserver import MCPServer, RequestStateSecurity

from server import VERSION
from server.house import House
from server.mcp.apps import apps
from server.mcp.doors import without_lookups, without_spans
from server.mcp.pages import paged
from server.mcp.straight import Straight
from server.mcp.tasks import Tasks
from server.prompts import prompts
from server.resources import resources
from server.tools import tools
from server.tools.handles import Handles

INSTRUCTIONS = """\
Plenum asks other language models for you, within the user's budget, and says what it cost.
Use `generate` when another model should answer: a second opinion, a cheaper or stronger model, a long summary, a picture.
Use `fuse` when being wrong is expensive: it asks several models, compares their answers and reports agreement and dissent.
Use `list_models` for what can be asked and at what price, `costs` for what was spent.
Leave `model` out unless the user names one: Plenum chooses, and replaces a model that fails.
Every answer ends with a line: model · cost · seconds · id. The id continues a conversation (`conversation`) and names
the resources plenum://decisions/{id} (why this model) and plenum://answers/{id} (full texts).
"Still running" is not an error: call again with the request_id given; nothing is paid twice.
An error says what to do next; do that rather than repeating the call."""

# Lists are the same for everybody and as long as the process; what is read is money and health: a second.
_LIST = CacheHint(ttl_ms=300_000, scope="public")
CACHED: dict[CacheableMethod, CacheHint] = {
    "server/discover": _LIST,
    "tools/list": _LIST,
    "prompts/list": _LIST,
    "resources/list": _LIST,
    "resources/templates/list": _LIST,
    "resources/read": CacheHint(ttl_ms=1_000, scope="private"),
}
TASKS: dict[str, Literal["optional", "required"]] = {"fuse": "optional"}  # tools whose calls may be tasks


def face(house: House, *, state_keys: list[str | bytes] | None = None, telemetry: bool = False) -> MCPServer[House]:
    """The server. `state_keys` (32 bytes or more each) are shared by workers, so that a question one asked another can take up."""
    logging.getLogger("mcp").setLevel(logging.WARNING)

    @asynccontextmanager
    async def lifespan(_: MCPServer[House]) -> AsyncGenerator[House]:
        async with house.running():
            yield house

    ours = tools(house)
    server: MCPServer[House] = MCPServer(
        "plenum",
        title="Plenum",
        version=VERSION,
        instructions=INSTRUCTIONS,
        tools=list(ours),
        extensions=[apps(), Tasks(TASKS, house.jobs.group, elsewhere=Handles(house))],
        lifespan=lifespan,
        log_level="WARNING",
        request_state_security=RequestStateSecurity(keys=state_keys) if state_keys else None,
        subscriptions=house.changes.bus,
        cache_hints=CACHED,
    )
    resources(server, house)
    prompts(server, house)
    paged(server)
    house.changes.serve(server)
    without_lookups(server)
    server.middleware.append(Straight(server, [tool for tool in ours if tool.name not in TASKS]))
    if not telemetry:
        without_spans(server)
    return server
