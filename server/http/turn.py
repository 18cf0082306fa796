"""One plain request and the writing of its answer: what h11 does for the others, on what is known to be simple."""

import asyncio
import re
from typing import Any, cast

from uvicorn.protocols.http.flow_control import CLOSE_HEADER, HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, RequestResponseCycle

_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*+")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_BODILESS = (204, 304)


class Turn(RequestResponseCycle):
    """Is given the body as it comes, and writes as ASGI says. uvicorn's, but for h11: an HTTP/1.1 client reads chunks."""

    transport: asyncio.Transport
    _left: int | None = None  # bytes the announced length still lacks; None where the answer is in chunks

    def take(self, body: bytes, *, more: bool) -> None:
        """A part of the body; nobody wants it once the answer is complete."""
        if self.response_complete:
            return
        self.body += body
        self.more_body = more
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.message_event.set()

    async def send(self, message: Any) -> None:
        """Write what an ASGI message says."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] != ("http.response.body" if self.response_started else "http.response.start"):
            raise RuntimeError(f"{message['type']!r} out of turn")
        if self.response_complete:
            raise RuntimeError("the answer was complete")
        if self.response_started:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._begin(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        if CLOSE_HEADER in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append(CLOSE_HEADER)
        length = next((value for name, value in headers if name == b"content-length"), None)
        if status in _BODILESS:
            self._left = 0
        elif length is not None:
            self._left = int(length)
        else:
            headers.append((b"transfer-encoding", b"chunked"))
        if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
            raise RuntimeError("a header would break the answer's head")
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, STATUS_PHRASES[status], lines))

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._left is None:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as it was said to be")
        if body:
            self.transport.write(body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        cast("Any", self.on_response)()
