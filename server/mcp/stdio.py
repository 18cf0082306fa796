"""MCP over standard input and output: our transport under the SDK's session.

The SDK's own loses answers at end of input, says nothing to bad lines, dies on SIGTERM and on half a surrogate pair
(guide mcp-sdk §10). While serving, fd 1 is stderr and fd 0 the null device: a stray print cannot break a line.
"""

import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import anyio
import anyio.lowlevel
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from .doors import lowlevel, served
from .frames import Fault, Id, Lines, Message, decode, encode
from .pipes import Sink, Source

CALLS = 64  # tool calls in flight
REQUESTS = 256  # requests of any kind in flight
OVERLOADED = -32010  # from the range the specification leaves to implementations
SETTLE_S = 5.0  # from a signal or a closed stdout to the end of the process
WATCH_S = 0.5


class Pending:
    """Requests that are owed an answer, by id."""

    def __init__(self) -> None:
        self._methods: dict[str, str] = {}
        self._calls = 0
        self.idle = anyio.Event()

    def admit(self, request: JSONRPCRequest) -> Fault | None:
        """Count `request`, or say why it may not run."""
        key = str(request.id)  # as the SDK, which lets a cancellation name "1" and mean 1
        if key in self._methods:
            return Fault(INVALID_REQUEST, "Invalid request: a request with this id is still running", request.id)
        if request.method == "subscriptions/listen":
            return None  # its answer is its end; the SDK bounds these itself
        call = request.method == "tools/call"
        if len(self._methods) >= REQUESTS or (call and self._calls >= CALLS):
            return Fault(OVERLOADED, f"Busy: {CALLS} calls are running; try again in a second", request.id)
        self._methods[key] = request.method
        self._calls += call
        return None

    def settle(self, request: Id | None) -> None:
        """`request` has its answer, or wants none any more."""
        method = self._methods.pop(str(request), None)
        self._calls -= method == "tools/call"
        if not self._methods:
            self.idle.set()
            self.idle = anyio.Event()

    def __bool__(self) -> bool:
        return bool(self._methods)


class Outbox:
    """The SDK's write stream: messages out as lines."""

    def __init__(self, sink: Sink, pending: Pending) -> None:
        self._sink = sink
        self._pending = pending

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message. Raises BrokenResourceError when nobody reads."""
        message = item.message
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._pending.settle(message.id)
        await self._sink.send(encode(message))

    async def refuse(self, fault: Fault) -> None:
        """Answer a line that is no message, or one message too many."""
        data = {"retry_after_s": 1} if fault.code == OVERLOADED else None
        error = ErrorData(code=fault.code, message=fault.message, data=data)
        await self._sink.send(encode(JSONRPCError(jsonrpc="2.0", id=fault.id, error=error)))

    async def aclose(self) -> None:
        """The descriptors belong to `streams`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        return None


class Inbox:
    """The SDK's read stream: lines in as messages. It ends when the input has and no request is owed an answer."""

    def __init__(self, source: Source, outbox: Outbox, pending: Pending) -> None:
        self._messages = self._read(source, outbox)
        self._pending = pending
        self._seen: SessionMessage | Exception | None = None

    async def first(self) -> SessionMessage | Exception | None:
        """The first message, before it is read; None when there is none."""
        self._seen = await anext(self._messages, None)
        return self._seen

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises EndOfStream."""
        try:
            return await anext(self)
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def __aiter__(self) -> "Inbox":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        seen, self._seen = self._seen, None
        return seen or await anext(self._messages)

    async def aclose(self) -> None:
        """Stop reading."""
        await self._messages.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        await self.aclose()

    async def _read(self, source: Source, outbox: Outbox) -> AsyncGenerator[SessionMessage]:
        lines = Lines()
        data = b"more"
        while data:
            data = await self._chunk(source)
            for line in lines.feed(data) if data else lines.close():
                message = decode(line)
                fault = message if isinstance(message, Fault) else self._note(message)
                if fault is not None:
                    await outbox.refuse(fault)
                elif not isinstance(message, Fault):
                    yield SessionMessage(message)
                    await anyio.lowlevel.checkpoint()  # what was begun gets on before more is
        while self._pending:
            await self._pending.idle.wait()

    @staticmethod
    async def _chunk(source: Source) -> bytes:
        try:
            return await source.read()
        except OSError:
            return b""  # a terminal that hung up: the end

    def _note(self, message: Message) -> Fault | None:
        if isinstance(message, JSONRPCRequest):
            return self._pending.admit(message)
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._pending.settle((message.params or {}).get("requestId"))  # it is never answered
        return None


@asynccontextmanager
async def streams() -> AsyncGenerator[tuple[Inbox, Outbox]]:
    """Stdin and stdout as the SDK's streams. A signal or a closed stdout cancels the block."""
    source, sink = Source(0), Sink(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    pending = Pending()
    outbox = Outbox(sink, pending)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.pump)
            tasks.start_soon(_end_on_signal, tasks.cancel_scope)
            tasks.start_soon(_end_unread, sink, tasks.cancel_scope)
            yield Inbox(source, outbox, pending), outbox
            await sink.drain()
            tasks.cancel_scope.cancel()
    finally:
        with suppress(AttributeError, OSError, ValueError):  # there is none, or nobody reads it
            sys.stdout.flush()  # what was printed meanwhile and is still held does not follow onto the wire
        os.dup2(source.fd, 0)
        os.dup2(sink.fd, 1)
        os.close(source.fd)
        os.close(sink.fd)


async def _end_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            _bound_the_end()
            scope.cancel()


async def _end_unread(sink: Sink, scope: anyio.CancelScope) -> None:
    while not sink.gone():  # noqa: ASYNC110 - the kernel has no event for it that every platform tells
        await anyio.sleep(WATCH_S)
    _bound_the_end()
    scope.cancel()


def _bound_the_end() -> None:
    """What does not settle in time is abandoned, as by kill -9: the ledger survives that."""
    timer = threading.Timer(SETTLE_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


async def run(server: MCPServer[Any]) -> None:
    """Serve one client on stdin and stdout until its input has ended and everything is answered, or a signal comes."""
    core = lowlevel(server)
    options = core.create_initialization_options(NotificationOptions(resources_changed=True))
    if sys.platform == "win32":
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (read, write):
            await core.run(read, write, options)
        return
    async with streams() as (inbox, outbox):
        await served(core, inbox, outbox, options)
