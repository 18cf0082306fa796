"""A whole house behind HTTP, in this process, asking the simulator over real HTTP: what stands behind every `/v1` test."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from openai import AsyncOpenAI

from providers.simulator import Scenario
from providers.simulator.server import serve as simulator
from server.app import App, opener
from server.config.load import Folders
from server.config.world import World
from server.http.guard import Principal
from server.http.serve import Listen, bound, polite

KEY = os.environ.get("PLENUM_CANARY_HOME", "sk-test-canary")
CONFIG = """
[providers]
auto = false
[providers.one]
dialect = "openai_chat"
base_url = "{base}/openai/v1"
api_key_env = "HOUSE_KEY"
priority = 2
[[providers.one.models]]
id = "fast"
context_window = 32000
capabilities = ["streaming", "tools", "json", "vision", "reasoning", "sampling"]
price = {{ input = 1.0, output = 2.0, cached_input = 0.5 }}
[[providers.one.models]]
id = "embed"
context_window = 8192
capabilities = ["embeddings"]
price = {{ input = 0.1, output = 0.0 }}
[providers.two]
dialect = "anthropic"
base_url = "{base}/anthropic"
api_key_env = "HOUSE_KEY"
[[providers.two.models]]
id = "smart"
context_window = 32000
capabilities = ["streaming", "tools", "json", "vision", "sampling"]
price = {{ input = 3.0, output = 6.0 }}
[models]
writers = ["one/fast", "two/smart"]
[embeddings]
model = "one/embed"
"""


@dataclass(frozen=True, slots=True)
class Behind:
    """A running server. `app` is the open house."""

    port: int
    simulator: str
    apps: list[App]
    clients: AsyncExitStack

    @property
    def app(self) -> App:
        return self.apps[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self, key: str = "secret", retries: int = 0) -> AsyncOpenAI:
        found = AsyncOpenAI(base_url=self.url, api_key=key, max_retries=retries, timeout=20)
        self.clients.push_async_callback(found.close)
        return found

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as http:
            content = body if isinstance(body, bytes) else None
            own = {"Authorization": "Bearer secret", "Content-Type": "application/json", **headers}
            json = None if content is not None else body
            return await http.post(f"{self.url}{path}", content=content, json=json, headers=own)

    async def log(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{self.simulator}/_log")).json()


class Names:
    """Knows three tokens: one for everything, one that may only read, one that may only generate."""

    async def __call__(self, scope: Any, token: str | None) -> Principal | None:
        del scope
        scopes = {"secret": (), "reader": ("read",), "writer": ("generate",)}
        return Principal(f"team-{token}", scopes[token]) if token in scopes else None


@asynccontextmanager
async def behind(home: Path, scenario: Scenario | None = None, config: str = CONFIG) -> AsyncGenerator[Behind]:
    """A server over a simulator."""
    async with simulator(scenario) as base:
        (home / "plenum.toml").write_text(config.format(base=base))
        apps: list[App] = []

        @asynccontextmanager
        async def watched() -> AsyncGenerator[App]:
            async with opener(
                World({"PLENUM_LOG": "off", "HOUSE_KEY": KEY}, home, Folders(home, home)), in_flight=1024
            )() as app:
                apps.append(app)
                yield app

        listening = bound("127.0.0.1", 0)
        port = listening.getsockname()[1]
        server = polite(watched, Listen("127.0.0.1", port), Names())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            while not server.started:
                await anyio.sleep(0.01)
            try:
                async with AsyncExitStack() as clients:
                    yield Behind(port, base, apps, clients)
            finally:
                server.should_exit = True
