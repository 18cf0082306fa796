"""A whole house behind HTTP in this process, with the simulator as its provider: what the border tests stand on."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from providers.simulator import Scenario
from providers.simulator.server import serve as simulator
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.http.serve import Listen, bound, polite
from tests.server.http.wire import post

KEY = os.environ.get("PLENUM_CANARY_HOME", "sk-canary-of-the-house-0123")
CONFIG = """
[providers]
auto = false
[providers.one]
dialect = "openai_chat"
base_url = "{base}/openai/v1"
api_key_env = "HOUSE_KEY"
[[providers.one.models]]
id = "fast"
context_window = 32000
capabilities = ["streaming", "tools", "json", "vision", "reasoning", "sampling"]
price = {{ input = 1.0, output = 2.0 }}
[[providers.one.models]]
id = "smart"
context_window = 32000
capabilities = ["streaming", "tools", "json", "vision", "sampling"]
price = {{ input = 3.0, output = 6.0 }}
"""


@dataclass(frozen=True, slots=True)
class Home:
    port: int
    simulator: str
    world: World
    app: Any

    async def log(self) -> list[dict[str, Any]]:
        import httpx

        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.simulator}/_log")).json()

    async def post(self, body: bytes, headers: dict[str, str] | None = None, token: str = "secret", **more: Any):
        return await post(self.port, body, {**(headers or {}), "Authorization": f"Bearer {token}"}, **more)


@asynccontextmanager
async def home(
    folder: Path, text: str = "", scenario: Scenario | None = None, **environment: str
) -> AsyncGenerator[Home]:
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(simulator(scenario or Scenario()))
        (folder / "c").mkdir(exist_ok=True)
        listening = bound("127.0.0.1", 0)
        port = listening.getsockname()[1]
        (folder / "c/plenum.toml").write_text(CONFIG.format(base=base) + text.replace("{port}", str(port)))
        world = World({"HOUSE_KEY": KEY, **environment}, folder, Folders(folder / "c", folder / "d"))
        app = await stack.enter_async_context(opener(world)())

        @asynccontextmanager
        async def opened():
            yield app

        server = polite(opened, Listen("127.0.0.1", port, (("owner", "secret"),)))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(server.serve, [listening])
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield Home(port, base, world, app)
        finally:
            server.should_exit = True
