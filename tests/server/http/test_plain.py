"""Requests read without h11: only those that cannot be read in two ways, and on one connection beside all others."""

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from starlette.types import Message

sys.path.insert(0, str(Path(__file__).parents[1]))

from household import served, small_app

from server.http import plain
from server.http.turn import Turn
from tests.server.http.wire import ask, modern

pytestmark = pytest.mark.anyio
GOOD = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


def request(
    body: bytes, own: dict[str, str], *, port: int, line: bytes = b"POST /mcp HTTP/1.1", **more: str | None
) -> bytes:
    """A plain request on a connection that is kept."""
    headers = {
        "Host": f"127.0.0.1:{port}", "Authorization": "Bearer secret", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream", "Content-Length": str(len(body)), **own,
    }  # fmt: skip
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return b"%b\r\n%b\r\n%b" % (line, lines.encode("latin-1"), body)


class Connection:
    """A kept connection, read answer by answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await anyio.lowlevel.checkpoint()

    async def answer(self) -> tuple[int, bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if found := re.search(rb"content-length: (\d+)", head):
            return int(head.split(b" ")[1]), await self.reader.readexactly(int(found[1]))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size + 2)
        await self.reader.readline()
        return int(head.split(b" ")[1]), body

    async def rest(self) -> bytes:
        return await self.reader.read()


@asynccontextmanager
async def connected(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with anyio.fail_after(60):
            yield Connection(reader, writer)
    finally:
        writer.close()


def test_a_plain_head_is_read_with_its_blanks_taken_off() -> None:
    head = plain.read(
        b"POST /a?b HTTP/1.1\r\nHost: \t x \t\r\nX-Y:\r\nCONTENT-LENGTH: 3\r\nConnection: close\r\n\r\nabc"
    )
    assert head == plain.Head(
        "POST",
        b"/a?b",
        [(b"host", b"x"), (b"x-y", b""), (b"content-length", b"3"), (b"connection", b"close")],
        79,
        3,
        keeps=False,
    )


DEVIANT = {
    "half a head": GOOD[:40],
    "another version": GOOD.replace(b"1.1", b"1.0"),
    "a longer version": GOOD.replace(b"1.1", b"1.10"),
    "another method": GOOD.replace(b"POST", b"PUT"),
    "a method in small letters": GOOD.replace(b"POST", b"post"),
    "an absolute target": GOOD.replace(b"/mcp", b"http://a/mcp"),
    "no target": GOOD.replace(b"/mcp ", b""),
    "a target that is not ASCII": GOOD.replace(b"/mcp", b"/m\xe9p"),
    "two blanks": GOOD.replace(b" HTTP", b"  HTTP"),
    "a tab for a blank": GOOD.replace(b" HTTP", b"\tHTTP"),
    "an empty line before": b"\r\n" + GOOD,
    "no host": GOOD.replace(b"Host", b"Hots"),
    "two hosts": GOOD.replace(b"Host: a", b"Host: a\r\nHost: a"),
    "two lengths": GOOD.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"),
    "the same length twice": GOOD.replace(b"Content-Length: 2", b"Content-Length: 2\r\ncontent-length: 2"),
    "two lengths in one": GOOD.replace(b": 2", b": 2, 2"),
    "a signed length": GOOD.replace(b": 2", b": +2"),
    "a negative length": GOOD.replace(b": 2", b": -2"),
    "a length with an underscore": GOOD.replace(b": 2", b": 1_0"),
    "a hexadecimal length": GOOD.replace(b": 2", b": 0x2"),
    "an empty length": GOOD.replace(b": 2", b":"),
    "a length in other digits": GOOD.replace(b": 2", b": \xb2"),
    "a length of sixteen digits": GOOD.replace(b": 2", b": " + b"1" * 16),
    "a length with a blank before its colon": GOOD.replace(b"Length:", b"Length :"),
    "chunks": GOOD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "chunks and a length": GOOD.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
    "chunks in disguise and a length": GOOD.replace(b"Host", b"transfer-ENCODING: xchunked\r\nHost"),
    "chunks after a blank": GOOD.replace(b"Host", b"Transfer-Encoding : chunked\r\nHost"),
    "chunks after a tab of another kind": GOOD.replace(b"Host", b"Transfer-Encoding:\x0bchunked\r\nHost"),
    "chunks on a folded line": GOOD.replace(b"Host: a", b"Host: a\r\n Transfer-Encoding: chunked"),
    "chunks behind a bare return": GOOD.replace(b"Host: a", b"Host: a\rTransfer-Encoding: chunked"),
    "chunks behind a bare line feed": GOOD.replace(b"Host: a", b"Host: a\nTransfer-Encoding: chunked"),
    "bare line feeds": GOOD.replace(b"\r\n", b"\n"),
    "a header without a name": GOOD.replace(b"Host", b": x\r\nHost"),
    "a header without a colon": GOOD.replace(b"Host", b"X\r\nHost"),
    "a name that is not ASCII": GOOD.replace(b"Host", b"X\xe9: x\r\nHost"),
    "a NUL": GOOD.replace(b"Host: a", b"Host: a\x00"),
    "a value that is not ASCII": GOOD.replace(b"Host: a", b"Host: \xe9"),
    "an upgrade": GOOD.replace(b"Host", b"Upgrade: h2c\r\nHost"),
    "a wait for leave": GOOD.replace(b"Host", b"Expect: 100-continue\r\nHost"),
    "another connection": GOOD.replace(b"Host", b"Connection: keep-alive, close\r\nHost"),
}


@pytest.mark.parametrize("name", DEVIANT)
def test_what_deviates_is_not_plain(name: str) -> None:
    assert plain.read(GOOD) is not None
    assert plain.read(DEVIANT[name]) is None


async def test_one_connection_takes_plain_and_other_requests_in_turn() -> None:
    body, own = modern("tools/list")
    app = small_app()
    async with served(app) as port, connected(port) as line:
        chunked = request(
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            own,
            port=port,
            Transfer_Encoding="chunked",
            Content_Length=None,
        )
        for each in (
            request(body, own, port=port),
            chunked,
            request(body, own, port=port),
            request(body, own, port=port, Cookie="a"),
        ):
            await line.send(each)
            assert (await line.answer())[0] == 200


async def test_requests_sent_together_are_answered_in_their_order() -> None:
    body, own = modern("tools/list")
    async with served(small_app()) as port, connected(port) as line:
        plain_one, elsewhere = request(body, own, port=port), request(body, own, port=port, line=b"POST /x HTTP/1.1")
        chunked = request(
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            own,
            port=port,
            Transfer_Encoding="chunked",
            Content_Length=None,
        )
        await line.send(plain_one + elsewhere + chunked + plain_one[:-5])
        assert [(await line.answer())[0] for _ in range(3)] == [200, 404, 200]
        await line.send(plain_one[-5:])
        assert (await line.answer())[0] == 200


async def test_a_body_may_come_in_pieces_and_its_head_alone() -> None:
    body, own = modern("tools/list")
    async with served(small_app()) as port, connected(port) as line:
        whole = request(body, own, port=port)
        head = whole[: -len(body)]
        await line.send(head, body[:10], body[10:50], body[50:] + whole)
        assert [(await line.answer())[0] for _ in range(2)] == [200, 200]


async def test_a_body_nobody_wanted_is_no_request() -> None:
    """A refusal comes before the body; what the body holds must not be taken for what comes next."""
    app = small_app()
    async with served(app) as port, connected(port) as line:
        hidden = request(*ask(), port=port)
        refused = request(hidden, {}, port=port, Authorization="Bearer wrong")
        await line.send(refused[: -len(hidden)])
        assert (await line.answer())[0] == 401
        await line.send(hidden[:30], hidden[30:] + request(*modern("tools/list"), port=port))
        status, listed = await line.answer()
    assert status == 200
    assert b'"tools"' in listed
    assert app.manager.calls == 0


@pytest.mark.parametrize(
    "deviation",
    [
        b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: xchunked", b" Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding:\x0bchunked", b"X: y\rTransfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked", b"Content-Length: 0", b"Content-Length : 0", b"content-length: +0", b"Content-Length: 0, 0",
        b"Content-Length:\x0b0", b"X: y\rContent-Length: 0", b"X: y\n\nContent-Length: 0",
    ],
)  # fmt: skip
async def test_nothing_is_smuggled_past_the_length(deviation: bytes) -> None:
    """The body is a paid request. With a length and something that contradicts it, it is refused or stays a body."""
    app = small_app()
    async with served(app) as port, connected(port) as line:
        hidden = request(*ask(), port=port, Connection="close")
        outer = request(b"0\r\n\r\n" + hidden, {}, port=port, line=b"POST /nowhere HTTP/1.1")
        await line.send(outer.replace(b"Host:", deviation + b"\r\nHost:", 1))
        line.writer.write_eof()
        answers = re.findall(rb"^HTTP/1\.1 (\d+)", await line.rest(), re.MULTILINE)
        assert app.manager.calls == 0
        assert answers in ([], [b"400"], [b"404"], [b"501"])


async def test_hanging_up_with_another_request_on_its_way_stops_the_paid_call() -> None:
    from tests.server.http.test_http_server import slow

    app = slow()
    async with served(app) as port:
        async with connected(port) as line:
            await line.send(request(*ask(), port=port), request(*modern("tools/list"), port=port)[:-7])
            with anyio.fail_after(30):
                while not app.manager.calls:
                    await anyio.sleep(0.02)
        with anyio.fail_after(30):
            while not app.manager.cancelled:
                await anyio.sleep(0.02)
    assert (app.manager.calls, app.manager.cancelled) == (1, 1)


class Wire:
    """What a turn writes on."""

    def __init__(self) -> None:
        self.sent, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


async def written(*messages: Message, keeps: bool = True) -> Wire:
    """What a turn makes of messages."""
    from types import SimpleNamespace
    from typing import Any, cast

    wire: Any = Wire()
    turn = Turn(
        scope=cast("Any", {"headers": []}), conn=cast("Any", SimpleNamespace(they_are_waiting_for_100_continue=False)), transport=wire,
        flow=cast("Any", SimpleNamespace(write_paused=False)), logger=cast("Any", None), access_logger=cast("Any", None), access_log=False,
        default_headers=[], message_event=asyncio.Event(), on_response=lambda: None,
    )  # fmt: skip
    turn.keep_alive = keeps
    for message in messages:
        await turn.send(message)
    return wire


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def more(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_an_answer_with_a_length_is_written_as_it_is() -> None:
    wire = await written(start(200, (b"content-length", b"4")), more(b"ab", more=True), more(b"cd"))
    assert wire.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd"
    assert not wire.closed


async def test_an_answer_without_one_is_written_in_chunks() -> None:
    wire = await written(start(), more(b"", more=True), more(b"0123456789abcdef", more=True), more(b"x"), keeps=False)
    assert wire.sent == (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n"
    )
    assert wire.closed


async def test_an_answer_that_has_no_body_is_its_head() -> None:
    assert (await written(start(204), more(b""))).sent == b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    "messages",
    [
        (more(b""),),
        (start(), start()),
        (start(), more(b""), more(b"")),
        (start(200, (b"content-length", b"1")), more(b"ab")),
        (start(200, (b"content-length", b"2")), more(b"a")),
        (start(200, (b"x", b"a\r\nb: c")), more(b"")),
        (start(200, (b"x\r\n", b"a")), more(b"")),
        (start(204), more(b"a")),
    ],
)
async def test_an_answer_that_would_break_the_wire_is_not_written(messages: tuple[Message, ...]) -> None:
    with pytest.raises(RuntimeError):
        await written(*messages)
