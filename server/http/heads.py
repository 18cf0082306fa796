"""What comes on a connection: plain requests are read here, all others by h11, and heads that do not end are cut.

A slow head costs its sender, not us. Bodies and answers are not bounded here: long prompts and long answers are what the
server is for.
"""

import asyncio
from collections import Counter
from typing import Any, cast
from urllib.parse import unquote

import h11
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import plain
from .gathered import Gathered
from .line import Line
from .turn import Turn

HEAD_S = 10.0  # from the first byte (or the connect) to the end of the headers
UNFINISHED = 2_048  # unfinished heads of one peer, who may be a load balancer: a burst of calls is no attack


class Heads:
    """Counts the unfinished heads of each peer."""

    def __init__(self, longest_s: float = HEAD_S, most: int = UNFINISHED) -> None:
        self.longest_s = longest_s
        self.most = most
        self.unfinished: Counter[str] = Counter()

    def protocol(self) -> type[H11Protocol]:
        """The protocol class to give to uvicorn."""
        heads = self

        class BoundedHeads(_BoundedHeads):
            bounds = heads

        return BoundedHeads


class _BoundedHeads(H11Protocol):
    bounds: Heads
    _waiting: asyncio.TimerHandle | None = None
    _peer = ""
    _turn: Turn | None = None  # the plain request that is not over: its body lacks bytes, or its answer does
    _missing = 0  # bytes of its body
    _held = b""  # what came after it

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast("asyncio.Transport", Gathered(transport, self.loop)))
        self._line = Line()
        self._peer = self.client[0] if self.client else "local"
        if self.bounds.unfinished[self._peer] >= self.bounds.most:
            transport.abort()
            return
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)
        self._line.hung_up()

    def data_received(self, data: bytes) -> None:
        if self._turn is not None:
            self._go_on(self._turn, data)
        elif self._between() and (head := plain.read(data)) is not None:
            self._end()
            self._turn = self._started(head)
            self._go_on(self._turn, data[head.size :])
        else:
            self._deviant(data)

    def handle_events(self) -> None:
        """h11's: its requests, too, carry the line."""
        super().handle_events()
        if (scope := cast("Scope | None", self.scope)) is not None:
            self._line.carry(scope)

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile."""
        super().on_response_complete()
        self._next()

    def _between(self) -> bool:
        """Whether what comes next begins a request."""
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _deviant(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and self._waiting is None:
            self._begin()  # the next request on a connection kept alive
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end()

    def _started(self, head: plain.Head) -> Turn:
        path, _, query = head.target.partition(b"?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": self.root_path,
            "path": self.root_path + unquote(path.decode()),
            "raw_path": self.root_path.encode() + path,
            "query_string": query,
            "headers": head.headers,
            "state": self.app_state.copy(),
        }
        self._line.carry(scope)
        self.scope = cast("Any", scope)
        turn = self.cycle = Turn(
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        turn.keep_alive = head.keeps
        self._missing = head.length
        if not head.length:
            turn.take(b"", more=False)
        task = self.loop.create_task(turn.run_asgi(cast("Any", self).app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        return turn

    def _go_on(self, turn: Turn, data: bytes) -> None:
        self._unset_keepalive_if_required()
        body, after = data[: self._missing], data[self._missing :]
        if body:
            self._missing -= len(body)
            turn.take(body, more=self._missing > 0)
        if after:
            self._held += after
            if len(self._held) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        self._next()

    def _next(self) -> None:
        if self._turn is None or self._missing or not self._turn.response_complete:
            return
        held, self._turn, self._held = self._held, None, b""
        if held and not self.transport.is_closing():
            self.data_received(held)

    def _begin(self) -> None:
        self.bounds.unfinished[self._peer] += 1
        self._waiting = self.loop.call_later(self.bounds.longest_s, self._too_slow)

    def _end(self) -> None:
        if self._waiting is None:
            return
        self._waiting.cancel()
        self._waiting = None
        self.bounds.unfinished[self._peer] -= 1
        if self.bounds.unfinished[self._peer] <= 0:
            del self.bounds.unfinished[self._peer]

    def _too_slow(self) -> None:
        self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()
