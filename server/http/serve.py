"""uvicorn around the application: one process, or several that share the port and the keys of sealed questions.

On SIGTERM calls in flight finish, listen streams get their final frame, and the process ends with 0. As shipped, uvicorn
and sse-starlette cut legacy answers and hang on an open stream (guide mcp-sdk §9).
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.mcpserver import MCPServer
from sse_starlette.sse import AppStatus

from server.face import face
from server.garbage import settle
from server.house import House
from server.mcp import doors
from server.telemetry import watch

from .app import application
from .guard import LONGEST_HEAD, Address, Tokens, Verifier
from .heads import Heads
from .keyholders import Keyholders
from .link import Link

if TYPE_CHECKING:
    from server.app import App

DRAIN_S = 30.0  # as long as orchestrators give by default; an answer lost here was paid for


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to serve. `tokens` are pairs of a name and a token."""

    host: str
    port: int
    tokens: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    state_key: str = field(default="", repr=False)  # shared by workers and replicas; then nothing is kept in a process
    link: Link | None = field(default=None, repr=False)  # the dashboard's way in


class Underway:
    """Counts requests being worked on; a listen stream is not work."""

    def __init__(self) -> None:
        self.count = 0
        self.idle = anyio.Event()

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Any]) -> Any:
        """The SDK's middleware."""
        if ctx.request_id is None or ctx.method == "subscriptions/listen":
            return await call_next(ctx)
        self.count += 1
        try:
            return await call_next(ctx)
        finally:
            self.count -= 1
            if not self.count:
                self.idle.set()
                self.idle = anyio.Event()


DATE_S = 1.0  # how long answers bear the same date


class Polite(uvicorn.Server):
    """Stops without losing answers, and ends with 0."""

    def __init__(self, config: uvicorn.Config, server: MCPServer[Any], underway: Underway) -> None:
        self._ending: asyncio.Event | None = None  # while it runs
        super().__init__(config)
        self._mcp, self._underway = server, underway
        AppStatus.disable_automatic_graceful_drain()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal means at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def main_loop(self) -> None:
        """As uvicorn's, but woken where it shall end, instead of looking ten times a second."""
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):
            with anyio.move_on_after(DATE_S):
                await self._ending.wait()
        self._ending = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Whoever says `should_exit`, in whatever thread, ends the wait."""
        super().__setattr__(name, value)
        if name == "should_exit" and value and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin; what an earlier server of this process left behind is cleared (the switch is global)."""
        AppStatus.should_exit = False
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls end beside uvicorn's own waiting."""
        doors.end_listening(self._mcp)
        drain = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        drain.cancel()

    async def _drain(self) -> None:
        with anyio.move_on_after(DRAIN_S):
            while self._underway.count:
                await self._underway.idle.wait()
        AppStatus.should_exit = True  # now idle legacy streams may close


def polite(
    opener: "Callable[[], AbstractAsyncContextManager[App]]",
    listen: Listen,
    verifier: Verifier | None = None,
    mount: Callable[[MCPServer[Any]], None] | None = None,
) -> Polite:
    """A server of one process, ready for `serve()`. `mount` may add to the MCP server: fixtures of conformance runs."""
    house = House(opener)
    doorkeeper = verifier or Keyholders(Tokens(listen.tokens), house)
    keys: list[str | bytes] | None = [listen.state_key] if listen.state_key else None
    house.app.watchers.append(settle)
    server, underway = face(house, state_keys=keys, telemetry=watch(house, os.environ)), Underway()
    server.middleware.append(underway)
    if mount is not None:
        mount(server)
    app = application(
        house,
        server,
        Address.of(listen.host, listen.port, listen.hosts, listen.origins),
        listen.link.before(doorkeeper) if listen.link else doorkeeper,
        stateless=bool(listen.state_key),
    )
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        http=Heads().protocol(),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_graceful_shutdown=int(DRAIN_S) + 1,
    )
    return Polite(config, server, underway)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP: asyncio sets TCP_NODELAY only where it is told so, and Nagle costs 40 ms an answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(2048)
    return listening
