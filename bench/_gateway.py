"""What `bench.http` drives gateways with: an upstream that costs next to nothing, a client likewise, and CPU by process.

Both ends speak just enough HTTP/1.1 for each other and are raw asyncio protocols, so that what is measured stands between.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EVENTS = 40  # of a streamed answer, as in guide performance §1
WORDS = [f"word{i} " for i in range(EVENTS)]
USAGE = {"prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130}
PROMPT = "Say forty words. " * 20
_TICKS = os.sysconf("SC_CLK_TCK")


def _event(delta: dict, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps({**head, "choices": [choice], **more}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + _event({"role": "assistant", "content": ""})
    + _event({"content": WORDS[0]}),
    *(_event({"content": word}) for word in WORDS[1:]),
    _event({}, "stop") + _event({}, usage=USAGE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]
_WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)


class _Upstream(asyncio.Protocol):
    """Answers each POST after `delay_s`; a stream then comes one event every `pace_s`. The path says both, in ms."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        self.data = body[length:]
        delay_ms, pace_ms = map(int, head.partition(b"/d")[2].partition(b"/")[0].split(b"p"))
        stream = b'"stream":true' in body.replace(b": ", b":")
        later = self._stream if stream else self.transport.write
        self.loop.call_later(delay_ms / 1000, later, *((0, pace_ms / 1000) if stream else (WHOLE,)))

    def _stream(self, number: int, pace_s: float) -> None:
        if not pace_s:
            self.transport.writelines(STREAM)
            return
        self.transport.write(STREAM[number])
        if number + 1 < len(STREAM):
            self.loop.call_later(pace_s, self._stream, number + 1, pace_s)


def _serve(port: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            _Upstream, "127.0.0.1", port, reuse_port=True, backlog=4096
        )
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def upstream(workers: int = 2) -> Iterator[int]:
    """The port of an upstream in processes of its own."""
    port = free_port()
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=_serve, args=(port,), daemon=True) for _ in range(workers)]
    for process in running:
        process.start()
    wait_for(port)
    try:
        yield port
    finally:
        for process in running:
            process.terminate()


@dataclass(slots=True)
class Round:
    """What a round of calls came to: seconds each, seconds to the first token, and the CPU seconds of the server."""

    latency_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    failed: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class _Caller(asyncio.Protocol):
    """One connection: sends, and knows where an answer begins and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.answer: asyncio.Future[bytes] | None = None
        self.data = bytearray()

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        self.data.clear()
        self.first_at = 0.0
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.first_at and b"word0" in self.data:
            self.first_at = time.perf_counter()
        if self.answer is not None and not self.answer.done() and self._complete():
            self.answer.set_result(bytes(self.data))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("closed in the middle"))

    def _complete(self) -> bool:
        at = self.data.find(b"\r\n\r\n")
        if at < 0:
            return False
        head = bytes(self.data[:at]).lower()
        if b"transfer-encoding: chunked" in head:
            return self.data.endswith(b"0\r\n\r\n")
        return len(self.data) >= at + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and as what."""

    port: int
    path: str
    model: str
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, number: int, *, stream: bool) -> bytes:
        """No two are equal: nobody may answer from a cache."""
        asked = {"model": self.model, "messages": [{"role": "user", "content": f"{number}: {PROMPT}"}]}
        if stream:
            asked["stream"] = True
        body = json.dumps(asked).encode()
        lines = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json", **dict(self.headers)}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


_numbers = itertools.count(time.time_ns() // 1000)


async def drive(target: Target, at_once: int, calls: int, *, stream: bool = False) -> Round:
    """`calls` calls over `at_once` connections, each used again."""
    found = Round()
    left = itertools.count(calls, -1)

    async def one() -> None:
        caller = None
        while next(left) > 0:
            if caller is None:
                _, caller = await asyncio.get_running_loop().create_connection(_Caller, "127.0.0.1", target.port)
            request = target.request(next(_numbers), stream=stream)
            began = time.perf_counter()
            try:
                async with asyncio.timeout(120):
                    answer = await caller.ask(request)
            except (ConnectionError, TimeoutError):
                found.failed += 1
                caller = None
                continue
            found.latency_s.append(time.perf_counter() - began)
            found.first_s.append((caller.first_at or time.perf_counter()) - began)
            good = answer.startswith(b"HTTP/1.1 200") and b"word39" in answer
            found.failed += not good
            if b"connection: close" in answer[:1000].lower():
                caller.transport.close()
                caller = None
        if caller is not None:
            caller.transport.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(one())
    found.wall_s = time.perf_counter() - began
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, patience_s: float = 90.0, alive=lambda: True) -> None:
    """Until something listens there."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and alive():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def _session(session: int) -> Iterator[list[str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                yield fields


def cpu_s(session: int) -> float:
    """CPU seconds of all processes of a session, their dead children included."""
    return sum(sum(map(int, fields[11:15])) for fields in _session(session)) / _TICKS


def rss_mb(session: int) -> float:
    """Resident memory of a session, MB."""
    return sum(int(fields[21]) for fields in _session(session)) * os.sysconf("SC_PAGE_SIZE") / 1e6
