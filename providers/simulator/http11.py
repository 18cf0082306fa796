"""Just enough HTTP/1.1 for a simulator: requests in, bytes out. Nothing is corrected, so anything can be sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyio.abc import SocketStream

MAX_HEAD = 64 << 10
MAX_REQUEST = 64 << 20
_REASONS = {200: "OK", 307: "Temporary Redirect", 429: "Too Many Requests"}


class BadRequestLine(Exception):
    """What came is no HTTP request."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first lines; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


async def read_request(stream: SocketStream, buffer: bytearray) -> tuple[Head, bytes]:
    """The next request. `buffer` keeps what came too early. Raises anyio.EndOfStream, BadRequestLine."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEAD:
            raise BadRequestLine
        buffer += await stream.receive()
    head = _head(bytes(buffer[:end]))
    del buffer[: end + 4]
    length = head.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_REQUEST:
        raise BadRequestLine
    while len(buffer) < int(length):
        buffer += await stream.receive()
    body = bytes(buffer[: int(length)])
    del buffer[: int(length)]
    return head, body


def _head(data: bytes) -> Head:
    first, *lines = data.decode("latin-1").split("\r\n")
    if len(words := first.split(" ")) != 3:
        raise BadRequestLine
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    path, _, query = words[1].partition("?")
    return Head(words[0], path, query, headers)


def start(status: int, media: str, extra: Mapping[str, str] | None = None, length: int | None = None) -> bytes:
    """Status line and headers; without a length the body is chunked."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Simulated')}",
        f"content-type: {media}",
        "x-plenum-simulated: 1",
    ]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def document(status: int, body: Any, extra: Mapping[str, str] | None = None, media: str = "application/json") -> bytes:
    """A whole answer; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return start(status, media, extra, len(data)) + data


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
