"""Tasks beside a block: cancelled when it ends; what the block raises leaves as it is, not as a group."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc


@asynccontextmanager
async def background() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """A task group for the block's duration."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as faults:
        if len(faults.exceptions) == 1:  # the block's own: nobody asked for a group
            raise faults.exceptions[0] from None
        raise
