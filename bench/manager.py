"""What the manager itself costs a call: everything but the network, CPU of all threads. Beside opening the provider alone.

`python -m bench.manager [--json]`. Targets on the reference machine: 500 µs with nothing durable, 900 µs with everything
durable in SQLite: money held and settled, replay, response cache. The provider answers at once from memory; guards,
limits and balancer are those of the product.
"""

import argparse
import json
import statistics
import time
import types
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from bench.decision import unit
from providers.catalog import cost_nano
from providers.catalog.tokens import Counter
from providers.types import Answer, Delta, Message, ModelCard, Price, Request, Stream, Text, Usage
from routing.balancer import RoundRobin
from routing.cache.exact import CacheSettings, Exact
from routing.cache.recall import ResponseCache
from routing.costs.budgets import Cap, Plan
from routing.costs.pricing import Tariffs
from routing.costs.tracker import Tracker
from routing.guard import Guards
from routing.limits import Limiter
from routing.manager import ProviderManager
from routing.prepared import Prepared
from routing.recall import Replay
from routing.store.sqlite import SqliteStore, sqlite
from routing.types import Ask, Deployment, Resolution

ROUNDS, CALLS, TOGETHER = 20, 100, 20
ASK = Ask(Request((Message("user", (Text("What is 2+3?"),)),)))
ANSWER = Answer(text="The answer is 5.", finish_reason="stop", usage=Usage(12, 6), usage_seen=True)


class Instant:
    """Answers from memory in two deltas."""

    @asynccontextmanager
    async def open(self, request: Request, model: str) -> AsyncGenerator[Stream]:
        yield Told()


class Told:
    answer = ANSWER
    headers = types.MappingProxyType({})

    async def __aiter__(self) -> AsyncIterator[Delta]:
        yield Delta("text", "The answer ")
        yield Delta("text", "is 5.")


class Three:
    """Three equals."""

    def __init__(self) -> None:
        self.all = tuple(
            Deployment(f"p{n}", "m", f"p{n}", ModelCard("m", family="f"), Price(1.0, 2.0), Instant()) for n in range(3)
        )

    def deployments(self) -> tuple[Deployment, ...]:
        return self.all

    def resolve(self, ask: Ask) -> Resolution:
        return Resolution(ask.model, (self.all,), auto=True)


async def microseconds(work: Callable[[], Awaitable[object]], at_once: int = 1) -> float:
    begun = time.process_time()
    for _ in range(CALLS // at_once):
        await work()
    return (time.process_time() - begun) / CALLS * 1e6


async def alone() -> None:
    """The floor: the provider without a manager."""
    async with Instant().open(ASK.request, "m") as stream:
        async for _ in stream:
            pass


async def sorted_floats() -> None:
    unit()


def durable(store: SqliteStore) -> ProviderManager:
    """The manager as composed in the product, over this store."""
    balancer, directory = RoundRobin(), Three()
    cache = ResponseCache(Exact(store.responses))
    cache.adopt(CacheSettings(), directory)
    return ProviderManager(
        directory,
        purse=Tracker(store.ledger, Tariffs(cost_nano), Plan((Cap("global", "day", 1e6), Cap("global", "month", 1e6)))),
        recall=Replay(store.archive, store.archive, beneath=Prepared([], cache)),
        gate=Limiter(),
        guard=Guards(watchers=[balancer]),
        balancer=balancer,
        measure=Counter(),
    )


async def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Interleaved rounds, medians of CPU per call."""
    balancer = RoundRobin()
    manager = ProviderManager(Three(), guard=Guards(watchers=[balancer]), balancer=balancer)
    with TemporaryDirectory() as folder:
        async with sqlite(Path(folder) / "plenum.db") as store:
            return await _measured(manager, durable(store), rounds)


async def _measured(memory: ProviderManager, kept: ProviderManager, rounds: int) -> dict[str, float]:
    numbers = count()

    async def generate() -> None:
        await memory.generate(ASK)

    async def stream() -> None:
        async with memory.stream(ASK) as live:
            async for _ in live:
                pass

    async def written() -> None:
        text = f"What is 2+{next(numbers)}?"  # never asked before: nothing is remembered
        await kept.generate(Ask(Request((Message("user", (Text(text),)),))))

    async def together() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(TOGETHER):
                tasks.start_soon(written)

    works = {
        "unit_us": sorted_floats,
        "floor_us": alone,
        "generate_us": generate,
        "stream_us": stream,
        "durable_us": written,
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(await microseconds(work))
        found.setdefault("durable_together_us", []).append(await microseconds(together, TOGETHER))
    medians = {name: statistics.median(values) for name, values in found.items()}
    unit_us = medians["unit_us"]
    return {
        **medians,
        "ratio": medians["generate_us"] / unit_us,
        "durable_ratio": medians["durable_us"] / unit_us,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    result = anyio.run(measure)
    if parser.parse_args().json:
        print(json.dumps(result))
        return
    print(
        f"generate {result['generate_us']:.0f} µs, stream {result['stream_us']:.0f} µs, "
        f"generate with SQLite {result['durable_us']:.0f} µs one at a time, "
        f"{result['durable_together_us']:.0f} µs {TOGETHER} at a time, "
        f"provider alone {result['floor_us']:.0f} µs, sorting 1,000 floats {result['unit_us']:.0f} µs"
    )


if __name__ == "__main__":
    main()
