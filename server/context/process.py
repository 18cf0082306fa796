"""A child process as an MCP transport: bounded lines, a bounded flood, and an end that leaves nobody behind.

The SDK's own transport holds a line of any length, dies of invalid UTF-8, and needs four seconds for a stubborn child.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import StdioServerParameters, get_default_environment, stdio_client
from mcp.shared.message import SessionMessage

from ..mcp import frames

LONGEST = 1 << 20  # bytes of a line; what is longer is skipped without being held
FLOOD = 16 << 20  # bytes received since we last said anything, until the connection ends
PATIENCE_S = (0.5, 0.5, 2.0)  # after stdin closed, after SIGTERM, after SIGKILL
_POLL_S = 0.01
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, OSError)

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectReceiveStream[SessionMessage]
Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@dataclass(frozen=True, slots=True)
class Program:
    """What is started: an argument list, and all of the environment it gets beside a few harmless variables."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | None = None


@asynccontextmanager
async def process(program: Program) -> AsyncGenerator[Streams]:
    """Start it; on the way out it and all its children are gone. Raises OSError when it cannot be started."""
    if sys.platform == "win32":
        command, *args = program.command
        server = StdioServerParameters(command=command, args=list(args), env=dict(program.environment), cwd=program.cwd)
        async with stdio_client(server) as (read, write):
            yield read, write  # pyright: ignore[reportReturnType] - the SDK's protocol names the same streams
        return
    child = await anyio.open_process(
        list(program.command),
        env=get_default_environment() | dict(program.environment),
        cwd=program.cwd,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    flow = _Flow()
    async with incoming, read, write, outgoing, anyio.create_task_group() as tasks:
        tasks.start_soon(_reading, child, incoming, flow)
        tasks.start_soon(_writing, child, outgoing, incoming, flow)
        try:
            yield read, write
        finally:
            with anyio.CancelScope(shield=True):
                await _ended(child)
            tasks.cancel_scope.cancel()


class _Flow:
    """How much came since we last said anything."""

    def __init__(self) -> None:
        self._bytes = 0

    def came(self, count: int) -> bool:
        self._bytes += count
        return self._bytes <= FLOOD

    def said(self) -> None:
        self._bytes = 0


async def _reading(child: Process, incoming: Incoming, flow: _Flow) -> None:
    lines = frames.Lines(LONGEST)
    assert child.stdout is not None
    async with incoming:
        with suppress(*_GONE):
            while flow.came(len(data := await child.stdout.receive())):
                for line in lines.feed(data):
                    if (message := _message(line)) is not None:
                        await incoming.send(message)


def _message(line: bytes | None) -> SessionMessage | None:
    """A line as a message; None for what is none: servers print banners."""
    if line is None:
        return None
    found = frames.decode(line)
    if isinstance(found, frames.Fault) and not line.isascii():
        found = frames.decode(line.decode("utf-8", "replace").encode())
    return None if isinstance(found, frames.Fault) else SessionMessage(found)


async def _writing(child: Process, outgoing: Outgoing, incoming: Incoming, flow: _Flow) -> None:
    assert child.stdin is not None
    try:
        async with outgoing:
            async for item in outgoing:
                flow.said()
                await child.stdin.send(frames.encode(item.message))
    except _GONE:
        await incoming.aclose()  # the session shall see the end, and not wait for an answer


async def _ended(child: Process) -> None:
    assert child.stdin is not None
    with anyio.move_on_after(PATIENCE_S[0]), suppress(*_GONE):
        await child.stdin.aclose()
    for patience, sign in zip(PATIENCE_S, (signal.SIGTERM, signal.SIGKILL, None), strict=True):
        if await _died(child, patience) or sign is None:
            break
        _signal(child, sign)
    _signal(child, signal.SIGKILL)  # whom it started and left
    with anyio.move_on_after(1), suppress(*_GONE):
        await child.aclose()


async def _died(child: Process, patience: float) -> bool:
    # Not wait(): on asyncio that also waits for the pipes, which a grandchild may hold open.
    with anyio.move_on_after(patience):
        while child.returncode is None:  # noqa: ASYNC110 - see above
            await anyio.sleep(_POLL_S)
    return child.returncode is not None


def _signal(child: Process, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, sign)
