"""`providers` over the same engine called bare, on the same local upstream in another process: CPU per call.

    python -m bench.providers [--json] [--rounds 7] [--memory]
The floor is what a careful caller writes by hand: one httpx client on the httpx-aiohttp transport, the request written
with `json`, every event through `json.loads`, the texts joined. Both ask the same upstream in interleaved rounds whose
order turns round every time; figures are medians, ratios are medians of the rounds' ratios. Must hold: CPU ≤ 1.25 ×,
memory flat from call 1,000 to call 20,000.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from bench import _local
from providers.dialects import load
from providers.http import Http, HttpProvider, Route
from providers.types import Message, ModelCard, Request, Text

EVENTS = 40  # of a streamed answer, as in guide performance §1
LEVELS = (1, 32, 256)
MODES = {"whole": 1, "streamed": 3, "paced": 6}  # and how many times fewer calls each gets
PACE_S = 0.002
BUDGET = 1.25
WORDS = [f"word{i} " for i in range(EVENTS)]
PROMPT = "Say forty words. " * 20

Ask = Callable[[], Awaitable[str]]


# the upstream
def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _delta(delta: dict, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )


USAGE = {"prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: r1\r\n\r\n"
)
STREAM_EVENTS = [
    *(_chunk(_delta({"content": word})) for word in WORDS),
    _chunk(_delta({}, "stop"))
    + _chunk(_event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n",
]
_MESSAGE = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r1\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
    + _BODY
)


class Upstream(_local.Posts):
    """Answers every POST; a stream event by event: as fast as it can, or (model `paced`) each in a segment of its own."""

    def answer(self, body: bytes) -> None:
        if b'"stream":true' in body:
            self.transport.write(STREAM_HEAD)
            pause_s = PACE_S if b'"model":"paced"' in body else 0.0
            asyncio.get_running_loop().call_later(pause_s, self.send, 0, pause_s)
        else:
            self.transport.write(WHOLE)

    def send(self, at: int, pause_s: float) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(STREAM_EVENTS[at])
        if at + 1 < len(STREAM_EVENTS):
            asyncio.get_running_loop().call_later(pause_s, self.send, at + 1, pause_s)


# the contestants
def bare(base: str, client, mode: str) -> Ask:
    """The engine by hand."""
    url = f"{base}/chat/completions"
    headers = {"authorization": "Bearer sk-1", "accept-encoding": "identity"}
    payload = {"model": mode, "messages": [{"role": "user", "content": PROMPT}], "stream": mode != "whole"}
    if mode != "whole":
        payload["stream_options"] = {"include_usage": True}

    async def whole() -> str:
        response = await client.post(url, json=payload, headers=headers)
        return json.loads(response.content)["choices"][0]["message"]["content"]

    async def streamed() -> str:
        texts, buffer = [], b""
        async with client.stream("POST", url, json=payload, headers=headers) as response:
            async for piece in response.aiter_raw():
                *events, buffer = (buffer + piece).split(b"\n\n")
                for event in events:
                    if event == b"data: [DONE]":
                        continue
                    choices = json.loads(event[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        texts.append(text)
        return "".join(texts)

    return whole if mode == "whole" else streamed


def ours(base: str, http: Http, mode: str) -> Ask:
    """The same through `providers`."""
    card = ModelCard(mode, capabilities=frozenset({"sampling"} if mode == "whole" else {"streaming", "sampling"}))
    provider = HttpProvider(http, load("openai_chat"), Route(base), card=lambda _: card, key=lambda: "sk-1")
    request = Request((Message("user", (Text(PROMPT),)),))

    async def ask() -> str:
        async with provider.open(request, mode) as answering:
            async for _ in answering:
                pass
            return answering.answer.text

    return ask


# measuring
async def many(ask: Ask, calls: int, concurrent: int) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            if len(await ask()) < 200:
                raise AssertionError("the answer is not whole")

    async with anyio.create_task_group() as tasks:
        for _ in range(concurrent):
            tasks.start_soon(worker)


async def cpu_ms(ask: Ask, calls: int, concurrent: int) -> float:
    before = time.process_time()
    await many(ask, calls, concurrent)
    return (time.process_time() - before) * 1000 / calls


async def compare(base: str, rounds: int, calls: int) -> list[dict]:
    import httpx
    from httpx_aiohttp import AiohttpTransport

    rows = []
    limits = httpx.Limits(max_connections=1024)
    async with httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=60) as client, Http() as http:
        for mode, fewer in MODES.items():
            contestants = {"bare": bare(base, client, mode), "providers": ours(base, http, mode)}
            for level in LEVELS:
                total = calls // fewer // 2 if level == 1 else max(level * 4, calls // fewer)
                for ask in contestants.values():
                    await many(ask, max(level, 50), level)
                figures = {name: [] for name in contestants}
                for turn in range(rounds):
                    for name in list(contestants)[:: -1 if turn % 2 else 1]:
                        figures[name].append(await cpu_ms(contestants[name], total, level))
                rows.append(row(mode, level, figures))
    return rows


def row(mode: str, level: int, figures: dict[str, list[float]]) -> dict:
    ratios = [mine / floor for mine, floor in zip(figures["providers"], figures["bare"], strict=True)]
    return {
        "mode": mode,
        "concurrent": level,
        "bare_cpu_ms": round(statistics.median(figures["bare"]), 3),
        "providers_cpu_ms": round(statistics.median(figures["providers"]), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
    }


def rss_mib() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def memory(base: str, first: int = 1000, last: int = 20_000) -> dict:
    """Resident memory and open files after the 1,000th and the 20,000th call, half whole, half streamed, 32 at a time."""
    async with Http() as http:
        asks = [ours(base, http, mode) for mode in ("whole", "streamed")]
        for ask in asks:
            await many(ask, first // 2, 32)
        before = rss_mib()
        for ask in asks:
            await many(ask, (last - first) // 2, 32)
        after = rss_mib()
    return {
        "calls": [first, last],
        "rss_mib": [round(before, 1), round(after, 1)],
        "growth_mib": round(after - before, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    with _local.upstream(Upstream) as base:
        result: dict = {"rows": asyncio.run(compare(base, options.rounds, options.calls)), "budget": BUDGET}
        if not options.no_memory:
            result["memory"] = asyncio.run(memory(base))
    result["holds"] = all(each["ratio"] <= BUDGET for each in result["rows"])
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if result["holds"] else 1


def show(result: dict) -> None:
    print(
        f"{'':9} {'at once':>7} {'bare ms':>8} {'ours ms':>8} {'ratio':>6}  (CPU per call, load {os.getloadavg()[0]:.1f})"
    )
    for each in result["rows"]:
        print(
            f"{each['mode']:9} {each['concurrent']:7} {each['bare_cpu_ms']:8.3f} {each['providers_cpu_ms']:8.3f} "
            f"{each['ratio']:6.2f}  ({each['ratio_low']:.2f} to {each['ratio_high']:.2f})"
        )
    if found := result.get("memory"):
        print(f"memory: {found['rss_mib'][0]} MiB after 1,000 calls, {found['rss_mib'][1]} MiB after 20,000")
    print("holds" if result["holds"] else f"does not hold: the budget is {BUDGET} ×")


if __name__ == "__main__":
    sys.exit(main())
