"""Serving: an opener of the app in, a transport out. The stdio path imports nothing but mcp, anyio, pydantic and stdlib."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from server.face import face
from server.house import House
from server.mcp import stdio
from server.mcp.once import Once

if TYPE_CHECKING:
    from server.app import App


async def serve_stdio(opener: "Callable[[], AbstractAsyncContextManager[App]]") -> None:
    """MCP on this process's stdin and stdout until the input ends or a signal comes."""
    await stdio.run(face(House(Once(opener))))
