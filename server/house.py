"""What every tool and resource stands on: the app, opened when first needed, and the jobs that may outlive a call."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.jobs import Jobs
from server.mcp.once import Once

if TYPE_CHECKING:  # the app drags in configuration and routing: a host waits for tools/list without them
    from server.app import App


@dataclass
class House:
    """`await house.app()` is the open app."""

    app: "Once[App]"
    jobs: Jobs = field(default_factory=Jobs)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["House"]:
        """Enter in the server's lifespan. On the way out jobs settle first, then the app closes."""
        async with self.app.running() as tasks:
            self.jobs.tasks = tasks
            yield self
