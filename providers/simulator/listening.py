"""A TCP listener that lives as long as a block, with everything it began."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream


@asynccontextmanager
async def listening(
    handle: Callable[[SocketStream], Awaitable[None]], *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[str]:
    """Accept connections while the block runs; gives the base URL. Port 0 takes a free one."""
    failure: Exception | None = None
    async with await anyio.create_tcp_listener(local_host=host, local_port=port) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, handle)
            try:
                yield f"http://{host}:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - no Django here
            except Exception as error:  # noqa: BLE001 - the block's own: the group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
