"""The engine's side of a connection: told to go on only once it was told to wait, and then as aiohttp means it."""

import aiohttp
import anyio
import pytest
from anyio.abc import SocketStream
from anyio.lowlevel import checkpoint

from providers.http.engine import Form, Transport, Unhindered, trust
from providers.simulator.http11 import LAST_CHUNK, chunk, read_request, start
from providers.simulator.listening import listening

pytestmark = pytest.mark.anyio

HEAD = start(200, "text/event-stream")
FORTY = b"".join(chunk(b"data: %d\n\n" % number) for number in range(40))


@pytest.fixture
async def transport():
    async with Transport(connections=1, keepalive_s=1.0, tls=trust(), proxy=None) as opened:
        yield opened


def asked(transport: Transport, base: str):
    return transport.send(Form("POST", base, {}, aiohttp.ClientTimeout()), b"{}")


def answering(*parts: bytes, when: anyio.Event | None = None):
    """A server that answers with the first part at once, with the others after `when`."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await read_request(stream, bytearray())
            await stream.send(parts[0])
            if when is not None:
                await when.wait()
            for part in parts[1:]:
                await stream.send(part)

    return handle


async def test_pieces_that_came_together_are_read_without_the_parser_running_for_each(transport, monkeypatch):
    """Where this fails after an upgrade of aiohttp, answers are still right: only dearer to read."""
    seen = []
    received = Unhindered.data_received

    def counted(self: Unhindered, data: bytes) -> None:
        seen.append(data)
        received(self, data)

    monkeypatch.setattr(Unhindered, "data_received", counted)
    async with listening(answering(HEAD + FORTY + LAST_CHUNK)) as base:
        raw = await asked(transport, base)
        body = b""
        while piece := await raw.content.readany():
            body += piece
    assert body.count(b"data: ") == 40
    assert seen
    assert all(seen)


async def test_a_body_larger_than_the_buffer_waits_for_a_slow_reader_and_arrives_whole(transport):
    size = 16 << 20
    with anyio.fail_after(60):
        async with listening(answering(HEAD + chunk(bytes(size)) + LAST_CHUNK)) as base:
            raw = await asked(transport, base)
            content = raw.content
            most = content.get_read_buffer_limits()[1]
            while content.total_bytes <= most:  # from here on the connection waits
                await checkpoint()
            taken = 0
            while piece := await content.readany():
                taken += len(piece)
                for _ in range(3):
                    await checkpoint()
                assert content.total_bytes - taken < size // 4
    assert taken == size


async def test_a_parser_stopped_at_the_end_of_a_segment_goes_on_with_the_next(transport):
    """So many pieces unread stop it, and it notices only in the next segment: after the connection went on."""
    many, read = (256 << 10) // 16 + 1, anyio.Event()
    rest = chunk(b"b") + chunk(b"c") + chunk(b"d") + LAST_CHUNK
    with anyio.fail_after(60):
        async with listening(answering(HEAD + chunk(b"a") * many, rest, when=read)) as base:
            content = (await asked(transport, base)).content
            while content.total_bytes < many:
                await checkpoint()
            assert await content.readany() == b"a" * many
            read.set()
            body = b""
            while piece := await content.readany():
                body += piece
    assert body == b"bcd"
