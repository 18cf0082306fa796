"""What context costs an ask when everything is warm: three real upstreams, 48 resources, CPU only, no round trip.

`python -m bench.context [--json]`. Target: 1 ms above the floor, which is the step that does nothing. `same_us` asks one
question again and again, `other_us` a new one each time, so that nothing of the packing is remembered.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import anyio

from providers.types import Message, Request, Text
from routing.events import ContextFetched, Event
from routing.prepared import as_it_is
from routing.types import Ask
from server.config.load import Folders, load
from server.context.service import contexts

ROUNDS, CALLS, TARGET_US = 15, 40, 1_000
NAMES = ("north", "south", "west")
QUESTION = "How many herons nest in the river delta in winter, says the census of the {} year?"


def asked(text: str) -> Ask:
    return Ask(Request((Message("user", (Text(text),)),), system="Be brief."))


async def microseconds(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.process_time()
    for _ in range(CALLS):
        await work()
    return (time.process_time() - begun) / CALLS * 1e6


async def measure(folder: Path) -> dict[str, float]:
    root = str(Path(__file__).parents[1])
    servers = {n: {"command": sys.executable, "args": ["-m", "bench._upstream", n], "cwd": root} for n in NAMES}
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    tables = "\n".join(f"[context.server.{name}]\ntimeout_s = 30" for name in NAMES)
    (folder / "plenum.toml").write_text(tables)
    fetched: list[Event] = []
    async with contexts(folder, {}, fetched.append) as sources:
        sources.adopt(load(folder / "plenum.toml", {}, Folders(folder, folder)), None)
        ask = asked(QUESTION.format("first"))
        began = time.monotonic()
        told = await sources.add(ask)
        cold_ms = (time.monotonic() - began) * 1e3
        assert all(use.resources for use in told.context), told.context
        before, numbers = len(fetched), count()

        async def other() -> object:
            return await sources.add(asked(QUESTION.format(next(numbers))))

        works = {"floor_us": lambda: as_it_is(replace(ask)), "same_us": lambda: sources.add(ask), "other_us": other}
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(ROUNDS):
            for name, work in works.items():
                found[name].append(await microseconds(work))
        trips = sum(isinstance(event, ContextFetched) for event in fetched[before:])
    medians = {name: statistics.median(values) for name, values in found.items()}
    tokens = sum(use.tokens for use in told.context)
    return {**medians, "round_trips": trips, "cold_ms": cold_ms, "tokens": tokens}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = anyio.run(measure, Path(folder))
    holds = result["other_us"] - result["floor_us"] <= TARGET_US and result["round_trips"] == 0
    if arguments.json:
        print(json.dumps({**result, "holds": holds}))
    else:
        print(
            f"the same question {result['same_us']:.0f} µs, another each time {result['other_us']:.0f} µs, "
            f"doing nothing {result['floor_us']:.1f} µs; {result['round_trips']:.0f} round trips; "
            f"{result['tokens']:.0f} tokens added; cold, with three programs started, {result['cold_ms']:.0f} ms"
        )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
