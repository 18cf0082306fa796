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
WINDOW_S, FLOOD_BYTES, FLOOD_LINES = 10.0, 16 << 20, 2_000  # in one window, until the connection ends
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
    loud: bool = False  # its stderr is ours: for a person who wants to know why it does not start


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
        stderr=None if program.loud else subprocess.DEVNULL,
        start_new_session=True,
    )
    incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with incoming, read, write, outgoing, anyio.create_task_group() as tasks:
        tasks.start_soon(_reading, child, incoming)
        tasks.start_soon(_writing, child, outgoing, incoming)
        try:
            yield read, write
        finally:
            with anyio.CancelScope(shield=True):
                await _ended(child)
            tasks.cancel_scope.cancel()


class _Flow:
    """How much comes: whoever sends more than anybody reads ends the connection, before it costs the others their turn."""

    def __init__(self) -> None:
        self._began = anyio.current_time()
        self._bytes = self._lines = 0

    def came(self, size: int, lines: int) -> bool:
        """Whether that is still bearable."""
        now = anyio.current_time()
        if now - self._began > WINDOW_S:
            self._began, self._bytes, self._lines = now, 0, 0
        self._bytes += size
        self._lines += lines
        return self._bytes <= FLOOD_BYTES and self._lines <= FLOOD_LINES


async def _reading(child: Process, incoming: Incoming) -> None:
    lines, flow = frames.Lines(LONGEST), _Flow()
    assert child.stdout is not None
    async with incoming:
        with suppress(*_GONE):
            while flow.came(len(data := await child.stdout.receive()), data.count(b"\n")):
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


async def _writing(child: Process, outgoing: Outgoing, incoming: Incoming) -> None:
    assert child.stdin is not None
    try:
        async with outgoing:
            async for item in outgoing:
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
