"""Eighty-two ways a provider can misbehave, byte for byte, in OpenAI's chat format (guide reliability-and-security §9.3).

    async with serve_faults() as base_url:    # POST {base_url}/NAME/chat/completions
A name nobody knows is closed without an answer. What each must end as: `tests/providers/test_http_faults.py`.
"""

import json
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

import anyio
from anyio.abc import SocketStream

from .http11 import BadRequestLine, Head, read_request
from .listening import listening
from .performance import FOREVER_S, reset
from .wires._reading import event

_MIB = 1 << 20
_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
GOOD: Mapping[str, Any] = MappingProxyType({"id": "x", "model": "m", "choices": [_CHOICE], "usage": _USAGE})
DONE = event(b"[DONE]")


def _head(status: int = 200, media: str = "application/json", extra: str = "", length: int | None = None) -> bytes:
    sized = "" if length is None else f"Content-Length: {length}\r\n"
    return f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nConnection: close\r\n{extra}{sized}\r\n".encode()


def _whole(body: Any, status: int = 200, extra: str = "", media: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body if isinstance(body, list) else {**body}).encode()
    return _head(status, media, extra, len(data)) + data


def _with(**changed: Any) -> bytes:
    return _whole({**GOOD, **changed})


def _refused(status: int, extra: str = "", code: str = "c") -> bytes:
    return _whole({"error": {"message": f"e{status}", "type": "t", "code": code}}, status, extra)


def _says(content: Any, finish: str | None = None, **delta: Any) -> bytes:
    changes = delta if content is None else {"content": content, **delta}
    return event({"id": "x", "choices": [{"index": 0, "delta": changes, "finish_reason": finish}]})


A, B, STOP = _says("a"), _says("b"), _says(None, "stop")
USED = event({"id": "x", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}})
STREAM_HEAD = _head(200, "text/event-stream")
_EMOJI = _says("😀").replace(b"\\ud83d\\ude00", "😀".encode())
_OVERLOADED = {"message": "overloaded", "type": "overloaded_error"}
_FILTERED = {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
_REFUSAL = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}

WHOLE: Mapping[str, bytes] = {
    "ok": _whole(GOOD),
    "html200": _whole(b"<html><h1>502 Bad Gateway</h1></html>", media="text/html"),
    "html502": _whole(b"<html><h1>502</h1></html>", 502, media="text/html"),
    "empty200": _whole(b""),
    "bad_json": _whole(b'{"choices":[{"message":{"content":"x"'),
    "nan_usage": _with(usage={"prompt_tokens": float("nan"), "completion_tokens": 5}),
    "neg_usage": _with(usage={"prompt_tokens": -(10**6), "completion_tokens": -5, "total_tokens": -1}),
    "huge_usage": _with(usage={"prompt_tokens": 10**18, "completion_tokens": 5}),
    "str_usage": _with(usage={"prompt_tokens": "10", "completion_tokens": None}),
    "no_usage": _whole({key: value for key, value in GOOD.items() if key != "usage"}),
    "no_choices": _with(choices=[]),
    "null_choices": _with(choices=None),
    "null_content": _with(choices=[_FILTERED]),
    "err_in_200": _whole({"error": _OVERLOADED}),
    "surrogate": _whole(
        b'{"choices":[{"message":{"content":"x\\ud83d"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    ),
    "bad_utf8": _whole(b'{"choices":[{"message":{"content":"\xff\xfe"}}]}'),
    "utf16": _whole(json.dumps({**GOOD}).encode("utf-16")),
    "bom": _whole(b"\xef\xbb\xbf" + json.dumps({**GOOD}).encode()),
    "bad_gzip": _whole(b"notgz", extra="Content-Encoding: gzip\r\n"),
    "json_for_stream": _whole(GOOD),
    "sse_as_json_ct": _whole(A + STOP + DONE),
    "http10": b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps({**GOOD}).encode(),
    "many_1xx": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + _whole(GOOD),
    "big_headers": _head(200, extra=f"X-A: {'a' * 200_000}\r\n", length=2) + b"{}",
    "not_http": b"\x16\x03\x01garbage not http\r\n\r\n",
    "trunc_json": _head(200, length=200) + json.dumps({**GOOD}).encode()[:40],
    "close_now": b"",
    "redir_host": _head(307, extra="Location: http://localhost:9/echo/chat/completions\r\n", length=0),
    "redir_loop": _head(307, extra="Location: /redir_loop/chat/completions\r\n", length=0),
    "redir_meta": _head(302, extra="Location: http://127.0.0.2:1/latest/\r\n", length=0),
    **{str(status): _refused(status) for status in (401, 402, 403, 404, 408, 413, 422, 500, 502, 529)},
    "503": _refused(503, "Retry-After: 1\r\n"),
    "429s": _refused(429, "Retry-After: 1\r\n"),
    "429date": _refused(429, "Retry-After: Fri, 20 Nov 2099 23:00:00 GMT\r\n"),
    "429neg": _refused(429, "Retry-After: -5\r\n"),
    "429junk": _refused(429, "Retry-After: soon\r\n"),
    "429huge": _refused(429, "Retry-After: 99999999999\r\n"),
    "429quota": _refused(429, code="insufficient_quota"),
    "429empty": _whole(b"", 429),
    "ctx": _refused(400, code="context_length_exceeded"),
    # not among the guide's 77
    "empty_text": _with(choices=[{**_CHOICE, "message": {"role": "assistant", "content": ""}}]),
    "refusal": _with(choices=[{**_CHOICE, "message": _REFUSAL}]),
    "wrong_schema": _with(choices=[{**_CHOICE, "message": {"role": "assistant", "content": '{"other": 1}'}}]),
}
STREAMS: Mapping[str, Sequence[bytes]] = {
    "stream": (A, B, STOP, USED, DONE),
    "sse_trunc": (A, B),
    "sse_trunc_mid": (A, b'data: {"id":"x","choi'),
    "sse_error_mid": (A, event({"error": {"message": "overloaded", "type": "server_error"}})),
    "sse_error_event": (A, event({"type": "error", "error": _OVERLOADED}, "error")),
    "sse_no_done": (A, STOP, USED),
    "sse_dup_done": (A, STOP, USED, DONE + DONE, _says("late")),
    "sse_no_finish": (A, DONE),
    "sse_bad_utf8": (A, event(b'{"choices":[{"delta":{"content":"\xf0\x9f"}}]}'), STOP, DONE),
    "sse_split_utf8": (_EMOJI[: _EMOJI.index(b"\x9f")], _EMOJI[_EMOJI.index(b"\x9f") :], STOP, DONE),
    "sse_crlf": (A.replace(b"\n", b"\r\n"), STOP.replace(b"\n", b"\r"), b"data: [DONE]\r\n\r\n"),
    "sse_uni_linesep": (_says("a\u2028b\x85c\x0bd"), STOP, DONE),
    "sse_no_space": (A.replace(b"data: ", b"data:"), STOP, b"data:[DONE]\n\n"),
    "sse_multi_data": (b'data: {"choices":[{"delta":\ndata: {"content":"a"}}]}\n\n', STOP, DONE),
    "sse_neg_index": (
        event({"choices": [{"index": -1, "delta": {"content": "a"}}]}),
        event({"choices": [{"index": 10**9, "delta": {"content": "a"}}]}),
        STOP,
        DONE,
    ),
    "sse_tool_garbage": (
        _says(None, tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}}]),
        _says(None, "tool_calls"),
        DONE,
    ),
    # not among the guide's 77
    "sse_not_json": (A, b"data: {broken\n\n", STOP, DONE),
}

Act = Callable[[SocketStream, Head], Awaitable[None]]
_ACTS: dict[str, Act] = {}


def _act(function: Act) -> Act:
    _ACTS[function.__name__.strip("_")] = function
    return function


@_act
async def _huge_body(stream: SocketStream, _: Head) -> None:
    await stream.send(_head(200, length=300 * _MIB))
    for _each in range(300):
        await stream.send(b" " * _MIB)


@_act
async def _endless(stream: SocketStream, _: Head) -> None:
    await stream.send(_head(200))
    while True:
        await stream.send(b" " * 65536)


@cache
def bomb(mebibytes: int) -> bytes:
    """Zeros, gzipped: about 1 KB a MiB."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(squeeze.compress(b"\0" * _MIB) for _ in range(mebibytes)) + squeeze.flush()


@_act
async def _gzip_bomb(stream: SocketStream, _: Head) -> None:
    await stream.send(_whole(bomb(100), extra="Content-Encoding: gzip\r\n"))


@_act
async def _echo(stream: SocketStream, head: Head) -> None:
    await stream.send(_whole({"headers": {**head.headers}}))


@_act
async def _hang(_stream: SocketStream, _: Head) -> None:
    await anyio.sleep(FOREVER_S)


@_act
async def _hang_after_headers(stream: SocketStream, _: Head) -> None:
    await stream.send(_head(200, length=100))
    await anyio.sleep(FOREVER_S)


@_act
async def _slow_body(stream: SocketStream, _: Head) -> None:
    data = json.dumps({**GOOD}).encode()
    await stream.send(_head(200, length=len(data)))
    for byte in data:
        await stream.send(bytes([byte]))
        await anyio.sleep(0.05)


@_act
async def _slow_sse_comments(stream: SocketStream, _: Head) -> None:
    await stream.send(STREAM_HEAD)
    while True:
        await stream.send(b": keep-alive\n\n")
        await anyio.sleep(0.05)


@_act
async def _stall_stream(stream: SocketStream, _: Head) -> None:
    await stream.send(STREAM_HEAD + A)
    while True:
        await anyio.sleep(0.05)
        await stream.send(b": keep-alive\n\n")


@_act
async def _reset(stream: SocketStream, _: Head) -> None:
    reset(stream)


@_act
async def _sse_reset(stream: SocketStream, _: Head) -> None:
    await stream.send(STREAM_HEAD + A)
    await anyio.sleep(0.05)
    reset(stream)


@_act
async def _sse_huge_line(stream: SocketStream, _: Head) -> None:
    await stream.send(STREAM_HEAD + b"data: ")
    for _each in range(300):
        await stream.send(b"x" * _MIB)


@_act
async def _sse_flood(stream: SocketStream, _: Head) -> None:
    await stream.send(STREAM_HEAD)
    flood = _says("x" * 100) * 100
    while True:
        await stream.send(flood)


NAMES = tuple(sorted({*WHOLE, *STREAMS, *_ACTS}))


async def misbehave(stream: SocketStream, head: Head) -> None:
    """What the fault named first in the path does, on this connection."""
    name = head.path.split("/")[1]
    if name in WHOLE:
        await stream.send(WHOLE[name])
    elif name in STREAMS:
        await stream.send(STREAM_HEAD)
        for part in STREAMS[name]:
            await stream.send(part)
            await anyio.sleep(0.002)
    elif name in _ACTS:
        await _ACTS[name](stream, head)


async def _handle(stream: SocketStream) -> None:
    async with stream:
        try:
            head, _ = await read_request(stream, bytearray())
            await misbehave(stream, head)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, BadRequestLine):
            return  # the client had enough


@asynccontextmanager
async def serve_faults() -> AsyncGenerator[str]:
    """Run the fault server on a free port of loopback; gives its base URL."""
    async with listening(_handle) as base_url:
        yield base_url
