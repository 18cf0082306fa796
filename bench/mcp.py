"""What our MCP face costs over a bare SDK server with the same one-upstream tool on the same engine.

    python -m bench.mcp [--json] [--rounds N] [--calls N] [--calls-flat N]

Both run side by side as processes; CPU is the server's own (user and system), latency the client's; rounds interleave and
reverse, medians are told. The bare server uses the SDK's transports and keeps no ledger; ours is `plenum serve` as shipped.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import _local
from bench.providers import STREAM_HEAD, _chunk, _delta, _event

ROOT = Path(__file__).parents[1]
CPU_BUDGET, P50_BUDGET, START_BUDGET, DELTAS = 1.5, 1.1, 1.25, 5_000
LEVELS = (1, 64)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
FLOOD = 20_000
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
END = (
    _chunk(_delta({}, "stop"))
    + _chunk(_event({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)
ANSWER = STREAM_HEAD + _chunk(_delta({"content": "An answer of a few words."})) + END
FLOODED = STREAM_HEAD + b"".join(_chunk(_delta({"content": f"w{i} "})) for i in range(FLOOD)) + END
CONFIG = """
[providers]
auto = false
[providers.alpha]
dialect = "openai_chat"
base_url = "{base}"
models = [
  {{ id = "m0", price = {{ input = 1.0, output = 2.0 }}, context_window = 200000, max_output = 60000 }},
  {{ id = "m100", price = {{ input = 1.0, output = 2.0 }}, context_window = 200000, max_output = 60000 }},
  {{ id = "flood", price = {{ input = 1.0, output = 2.0 }}, context_window = 200000, max_output = 60000 }},
]
[budget]
daily_usd = 1000000
"""


class Upstream(_local.Posts):
    """Answers at once, after 100 ms (model m100), or with 20,000 deltas (model flood)."""

    def answer(self, body: bytes) -> None:
        pause = 0.1 if b'"m100"' in body else 0.0
        asyncio.get_running_loop().call_later(pause, self.transport.write, FLOODED if b'"flood"' in body else ANSWER)


upstream = partial(_local.upstream, Upstream)


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(name: str, base: str, home: str, port: int | None) -> tuple[list[str], dict[str, str]]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
    if name == "bare":
        return [sys.executable, "-m", "bench._bare", base, *([str(port)] if port else [])], environment
    where = ["--http", f"127.0.0.1:{port}"] if port else []
    environment |= {"PLENUM_HOME": home, "PLENUM_TOKEN": "bench"}
    return [sys.executable, "-m", "server", "serve", *where], environment


def frame(number: int, model: str) -> dict:
    arguments = {"prompt": f"Question {number} of {os.getpid()} at {time.time()}", "model": model}
    params = {"name": "generate", "arguments": arguments, "_meta": META}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


class Stdio:
    """A server on pipes and as many calls in flight as wanted."""

    def __init__(self, name: str, base: str, home: str) -> None:
        self.argv, self.environment = command(name, base, home, None)
        self.model = "alpha/" if name != "bare" else ""
        self.next = 0
        self.waiting: dict[int, asyncio.Future] = {}

    async def start(self) -> None:
        pipes = {
            "stdin": asyncio.subprocess.PIPE,
            "stdout": asyncio.subprocess.PIPE,
            "stderr": asyncio.subprocess.DEVNULL,
        }
        self.process = await asyncio.create_subprocess_exec(*self.argv, env=self.environment, limit=1 << 26, **pipes)
        self.pid = self.process.pid
        self.reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            if (waiting := self.waiting.pop(message.get("id"), None)) is not None:
                waiting.set_result(message)

    async def call(self, model: str) -> dict:
        self.next += 1
        waiting = self.waiting[self.next] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps(frame(self.next, self.model + model)).encode() + b"\n")
        return await waiting

    def forget(self) -> None:
        """Kept connections may have been closed meanwhile."""

    async def stop(self) -> None:
        self.process.stdin.close()
        await self.process.wait()
        await self.reading


class Http(Stdio):
    """A server on HTTP, one kept connection per call in flight."""

    def __init__(self, name: str, base: str, home: str) -> None:
        super().__init__(name, base, home)
        self.port = _port()
        self.argv, self.environment = command(name, base, home, self.port)
        self.idle: list = []

    async def start(self) -> None:
        quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
        self.process = await asyncio.create_subprocess_exec(*self.argv, env=self.environment, **quiet)
        self.pid = self.process.pid
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.1)

    async def call(self, model: str) -> dict:
        self.next += 1
        body = json.dumps(frame(self.next, self.model + model)).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer bench\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: generate\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = (
            self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" in answer:
            text = await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
        else:
            text = b""
            while (size := int(await reader.readline(), 16)) > 0:
                text += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            text = next(line[6:] for line in text.splitlines() if line.startswith(b"data: {") and b'"result"' in line)
        self.idle.append((reader, writer))
        return json.loads(text)

    def forget(self) -> None:
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()

    async def stop(self) -> None:
        self.forget()
        self.process.terminate()
        await self.process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def many(server: Stdio, model: str, calls: int, concurrent: int) -> tuple[float, float]:
    """CPU milliseconds of the server per call, and the p50 of a call in milliseconds."""
    left, waits = iter(range(calls)), []

    async def worker() -> None:
        for _ in left:
            began = time.perf_counter()
            reply = await server.call(model)
            waits.append((time.perf_counter() - began) * 1000)
            assert not reply["result"].get("isError"), reply["result"]["content"][0]["text"][:300]

    server.forget()
    before = cpu_s(server.pid)
    await asyncio.gather(*(worker() for _ in range(concurrent)))  # noqa: TID251 - the client, not the house
    return (cpu_s(server.pid) - before) * 1000 / calls, statistics.median(waits)


async def compare(kind: type[Stdio], base: str, rounds: int, calls: int) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "plenum.toml").write_text(CONFIG.format(base=base))
        servers = {name: kind(name, base, home) for name in ("bare", "plenum")}
        for server in servers.values():
            await server.start()
            await many(server, "m0", 200, 16)
        for model, level in [("m0", level) for level in LEVELS] + [("m100", level) for level in LEVELS]:
            total = calls if model == "m0" else (20 if level == 1 else 64 * 6)
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
            for turn in range(rounds):
                for name in list(servers)[:: -1 if turn % 2 else 1]:
                    figures[name].append(await many(servers[name], model, total, level))
            rows.append(row(kind.__name__.lower(), model, level, figures))
        rows.append(
            {
                "rss_mib": {name: round(rss_mib(server.pid), 1) for name, server in servers.items()},
                "kind": kind.__name__,
            }
        )
        if kind is Stdio:
            rows.append(await flooded(servers["plenum"]))
        for server in servers.values():
            await server.stop()
    return rows


async def flooded(server: Stdio) -> dict:
    began = time.perf_counter()
    reply = await server.call("flood")
    took = time.perf_counter() - began
    assert not reply["result"].get("isError"), reply["result"]["content"][0]["text"][:300]
    return {"deltas_per_s": round(FLOOD / took)}


def row(kind: str, model: str, level: int, figures: dict) -> dict:
    pairs = list(zip(figures["bare"], figures["plenum"], strict=True))
    return {
        "kind": kind,
        "model": model,
        "concurrent": level,
        "bare_cpu_ms": round(statistics.median(b[0] for b, _ in pairs), 3),
        "plenum_cpu_ms": round(statistics.median(p[0] for _, p in pairs), 3),
        "cpu_ratio": round(statistics.median(p[0] / max(b[0], 1e-9) for b, p in pairs), 2),
        "bare_p50_ms": round(statistics.median(b[1] for b, _ in pairs), 2),
        "plenum_p50_ms": round(statistics.median(p[1] for _, p in pairs), 2),
        "p50_ratio": round(statistics.median(p[1] / b[1] for b, p in pairs), 2),
    }


def first_list(name: str, base: str, home: str) -> float:
    """Seconds from the start of the process to its first `tools/list`."""
    argv, environment = command(name, base, home, None)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    began = time.perf_counter()
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdin.write(json.dumps(listing).encode() + b"\n")
        process.stdin.flush()
        assert b'"tools"' in process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
    return took


def starts(base: str, rounds: int) -> dict:
    found: dict[str, list[float]] = {"bare": [], "plenum": []}
    with tempfile.TemporaryDirectory() as home:
        for turn in range(rounds + 1):
            for name in list(found)[:: -1 if turn % 2 else 1]:
                found[name].append(first_list(name, base, home))
    pairs = list(zip(found["bare"], found["plenum"], strict=True))[1:]
    return {
        "first_list_s": {name: round(statistics.median(values[1:]), 3) for name, values in found.items()},
        "start_ratio": round(statistics.median(p / b for b, p in pairs), 2),
    }


def judged(rows: list[dict]) -> bool:
    held = True
    for each in rows:
        if each.get("model") == "m0":
            held &= each["cpu_ratio"] <= CPU_BUDGET
        elif each.get("model") == "m100":
            held &= each["p50_ratio"] <= P50_BUDGET
        held &= each.get("start_ratio", 0) <= START_BUDGET and each.get("deltas_per_s", DELTAS) >= DELTAS
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    rows: list[dict] = []
    with ExitStack() as stack:
        base = stack.enter_context(upstream())
        rows.append(starts(base, options.rounds))
        for kind in (Stdio, Http):
            rows += asyncio.run(compare(kind, base, options.rounds, options.calls))
    held = judged(rows)
    if options.json:
        print(json.dumps({"rows": rows, "holds": held}))
    else:
        for each in rows:
            print(each)
        print("holds" if held else "does not hold", f"(load {os.getloadavg()[0]:.1f})")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
