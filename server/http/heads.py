"""h11 under uvicorn, with a clock and a bound on request heads that do not end: a slow head costs its sender, not us.

Bodies and answers are not bounded here: long prompts and long answers are what the server is for.
"""

import asyncio
from collections import Counter
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .gathered import Gathered

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

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast("asyncio.Transport", Gathered(transport, self.loop)))
        self._peer = self.client[0] if self.client else "local"
        if self.bounds.unfinished[self._peer] >= self.bounds.most:
            transport.abort()
            return
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and self._waiting is None:
            self._begin()  # the next request on a connection kept alive
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end()

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
