"""Progress for the one who waits: at once, then pieces of text gathered to 20 notifications a second, then a heartbeat.

Sending is slow and deltas are many: telling is a list append, and one task sends what has gathered.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext

from routing.background import background
from routing.events import Progressed, Tell
from server.mcp import scrub, tasks

GAP_S = 0.05  # 20 notifications a second
HEARTBEAT_S = 10.0  # the longest a host waits for a sign of life
Send = Callable[[float, str], Awaitable[None]]


class Progress:
    """Gathers what is told and sends it, with a value that always grows: seconds since the start."""

    def __init__(self, send: Send, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._started = clock()
        self._value = 0.0
        self._phase = "asking"
        self._draft = 0
        self._gathered: list[str] = []
        self._news = anyio.Event()

    def __call__(self, progress: Progressed) -> None:
        """Take note; never waits."""
        if progress.draft > self._draft:
            self._draft, self._gathered = progress.draft, []
        if progress.message and progress.message != self._phase:
            self._phase = progress.message
            self._gathered.append(f"\n[{progress.message}]\n" if self._gathered else f"[{progress.message}] ")
        if progress.text:
            self._gathered.append(progress.text)
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled: the phase at once, news as it comes, a sign of life when there is none."""
        await self._emit(self._phase)
        while True:
            await anyio.sleep(GAP_S)
            with anyio.move_on_after(HEARTBEAT_S - GAP_S):
                await self._news.wait()
            self._news = anyio.Event()
            gathered, self._gathered = "".join(self._gathered), []
            waited = self._clock() - self._started
            await self._emit(gathered.strip("\n") or f"{self._phase} · {waited:.0f} s")

    async def _emit(self, message: str) -> None:
        self._value = max(self._value + 0.001, round(self._clock() - self._started, 3))
        await self._send(self._value, scrub.told(message))


def wanted(request: ServerRequestContext[Any, Any]) -> bool:
    """Whether the caller asked for progress, and waits for it."""
    return (request.meta or {}).get("progress_token") is not None and tasks.current.get(None) is None


@asynccontextmanager
async def reported(request: ServerRequestContext[Any, Any]) -> AsyncGenerator[Tell | None]:
    """A teller whose news reach the caller while the block runs; None where they are not wanted.

    Raises what the block raises, bare: inside the group it would come out as one of a group, and no refusal be known.
    """
    if not wanted(request):
        yield None
        return

    async def send(value: float, message: str) -> None:
        await request.session.report_progress(value, None, message)

    progress = Progress(send)
    async with background() as group:
        group.start_soon(progress.run)
        yield progress
