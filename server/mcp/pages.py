"""Lists in pages, which MCPServer does not do: a cursor is a number we gave, anything else is refused."""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp.types import INVALID_PARAMS, PaginatedRequestParams

from .doors import lowlevel

SIZE = 100
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
    "prompts/list": "prompts",
}


def paged(server: MCPServer[Any], size: int = SIZE) -> None:
    """Cut every list of this server into pages."""
    core = lowlevel(server)
    for method, field in LISTS.items():
        entry = core.get_request_handler(method)
        assert entry is not None, f"MCPServer serves {method}"
        core.add_request_handler(method, PaginatedRequestParams, _page(entry.handler, field, size))


def _page(handler: Callable[..., Awaitable[Any]], field: str, size: int) -> Callable[..., Awaitable[Any]]:
    async def one(ctx: Any, params: PaginatedRequestParams | None) -> Any:
        result = await handler(ctx, params)
        items = getattr(result, field)
        start = _start(params.cursor if params is not None else None, len(items))
        setattr(result, field, items[start : start + size])
        if start + size < len(items):
            result.next_cursor = str(start + size)
        return result

    return one


def _start(cursor: str | None, length: int) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or not cursor.isascii() or len(cursor) > 9 or int(cursor) >= length:
        raise MCPError(INVALID_PARAMS, "Unknown cursor; list from the beginning.")
    return int(cursor)
