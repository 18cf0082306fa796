"""An upstream on the SDK's own server, of the era of 2026: one resource that is a file, and says when it changed."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated

FILE = Path(sys.argv[1])
BUS = InMemorySubscriptionBus()


async def watch() -> None:
    before = FILE.stat().st_mtime_ns
    while True:
        await anyio.sleep(0.02)
        if (now := FILE.stat().st_mtime_ns) != before:
            before = now
            await BUS.publish(ResourceUpdated(uri="odd://notes"))


@asynccontextmanager
async def lifespan(server: object) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield
        tasks.cancel_scope.cancel()


server = MCPServer("new", lifespan=lifespan, subscriptions=BUS)


@server.resource("odd://notes", name="notes")
def notes() -> str:
    return FILE.read_text()


server.run()
