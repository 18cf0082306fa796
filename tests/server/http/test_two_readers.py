"""One connection's bytes, however cut, read with and without the plain way: the same requests arrive, to the last byte."""

import asyncio
import logging
from typing import Any

import uvicorn
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from server.http.heads import Heads
from tests.server.http.test_plain import DEVIANT, GOOD

PATHS = st.sampled_from(("/whole", "/late?a=%41", "/early", "/%41%20"))
LINES = ("X: y", "Cookie: a", "Cookie: b", "X-Empty:", "Connection: keep-alive", "Upgrade: h2c")
BODIES = st.sampled_from((b"", b"{}", b"x" * 3000, GOOD, GOOD + b"y"))


@st.composite
def simple(draw: Any) -> bytes:
    body = draw(BODIES)
    lines = ["Host: a", f"Content-Length: {len(body)}", *draw(st.lists(st.sampled_from(LINES), max_size=3))]
    head = f"{draw(st.sampled_from(('POST', 'GET', 'PUT')))} {draw(PATHS)} HTTP/1.1\r\n"
    return (head + "\r\n".join(draw(st.permutations(lines))) + "\r\n\r\n").encode() + body


@st.composite
def chunked(draw: Any) -> bytes:
    body, trailer = draw(BODIES), draw(st.sampled_from((b"", b"X-Plenum-Key: a=b\r\n")))
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % (
        draw(PATHS).encode(), chunk, trailer,
    )  # fmt: skip


# What closes the connection stands last: what follows it is nobody's, and h11 minds it or not by how it came.
LAST = st.sampled_from([b"", *DEVIANT.values(), GOOD.replace(b"Host", b"Connection: close\r\nHost")])


class Wire(asyncio.Transport):
    """A transport that keeps nothing and says when it was closed."""

    closed = paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class App:
    """Notes what arrives. `/late` answers a few turns later, `/early` without having read the body."""

    def __init__(self) -> None:
        self.arrived: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", not scope["path"].startswith("/early")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        for _ in range(5 * scope["path"].startswith("/late")):
            await checkpoint()
        headers = sorted(scope["headers"])
        self.arrived.append((scope["method"], scope["path"], scope["raw_path"], scope["query_string"], headers, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def arrived(protocol: type[H11Protocol], pieces: list[bytes]) -> tuple[list[Any], bool]:
    """The requests, and whether the connection was closed after them."""
    app, wire = App(), Wire()
    config = uvicorn.Config(app, ws="none", log_config=None, h11_max_incomplete_event_size=32 << 10)
    line = protocol(config=config, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop())
    line.connection_made(wire)
    for piece in filter(None, pieces):
        if not wire.closed:
            line.data_received(piece)
        for _ in range(100):
            await checkpoint()
    closed = wire.closed
    line.connection_lost(None)
    line._unset_keepalive_if_required()
    for _ in range(20):
        await checkpoint()
    return app.arrived, closed


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(simple() | chunked(), max_size=3), LAST, st.lists(st.integers(1, 4000), max_size=4), st.booleans())
def test_both_readers_see_the_same_requests(first: list[bytes], last: bytes, cuts: list[int], together: bool) -> None:
    requests = [*first, last]
    data = b"".join(requests)
    at = sorted({cut for cut in cuts if cut < len(data)})
    pieces = [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)] if together else requests
    logging.disable(logging.WARNING)
    try:
        theirs = asyncio.run(arrived(H11Protocol, pieces))
        ours = asyncio.run(arrived(Heads().protocol(), pieces))
    finally:
        logging.disable(logging.NOTSET)
    assert theirs == ours
