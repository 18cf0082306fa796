"""Calls of our own tools, answered without a second look.

The SDK dumps what a tool returned, parses the dump by the era's schema and dumps that again, and copies the server's name
into it: for strangers' tools. Ours return what was built here. A middleware may answer for itself, envelope included; this
one does so in the newest era, where nothing has to be left out for old clients.
"""

from collections.abc import Iterable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.types import SERVER_INFO_META_KEY
from mcp_types.methods import validate_client_request
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from .doors import lowlevel
from .exact import ExactTool
from .known import Known


class Straight:
    """A middleware that answers `tools/call` for `tools`, and for names nobody has; everything else goes on."""

    def __init__(self, server: MCPServer[Any], tools: Iterable[ExactTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._known = Known(server)
        self._stamp = {SERVER_INFO_META_KEY: lowlevel(server).server_info_stamp}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer, or let the next one do so."""
        params = ctx.params or {}
        name = params.get("name") if ctx.method == "tools/call" else None
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            await self._known.check(ctx.method, params)
        if tool is None or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        validate_client_request(ctx.method, ctx.protocol_version, params)
        result = await tool.answer(params.get("arguments") or {}, ctx)
        wire = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return wire | {"_meta": wire.get("_meta", {}) | self._stamp}
