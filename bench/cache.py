"""What a hit costs, what a thousand twins cost, and how often real questions hit, beside an independent LRU.

`python -m bench.cache [--json]`. Targets: an exact hit in the manager ≤ 300 µs CPU with the durable store; one call for
1,000 identical asks; hit rate within 0.5 points of the LRU and above 40 %. Questions: `../shared/data/fuse`, Zipf (s = 1).
"""

import argparse
import gzip
import json
import random
import statistics
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

import anyio

from bench.manager import Three
from providers.types import Message, Request, Text
from routing.cache.exact import CacheSettings, Exact
from routing.cache.recall import ResponseCache
from routing.events import CacheLooked
from routing.manager import ProviderManager
from routing.recall import Replay
from routing.store.sqlite import SqliteStore, sqlite
from routing.types import Ask

DATA = Path(__file__).parents[1].parent / "shared/data/fuse"
ROUNDS, CALLS, REPLAY, ENTRIES = 15, 100, 6_000, 400


def questions() -> list[str]:
    """Real ones where they are at hand, else numbered ones (which the report says)."""
    found: dict[str, None] = {}
    for file in sorted(DATA.glob("*.jsonl.gz")):
        with gzip.open(file, "rt") as lines:
            for line in lines:
                found[str(_question(json.loads(line)))[:6000]] = None  # the window of these models
    return list(found) or [f"What is {n} + 1?" for n in range(2000)]


def _question(row: dict) -> str:
    return row.get("question") or row.get("prompt") or json.dumps(row, sort_keys=True)


def asked(text: str) -> Ask:
    return Ask(Request((Message("user", (Text(text),)),)))


class Calls(Three):
    """Three instant providers that count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        open_ = self.all[0].opener.open

        def counted(request, model):
            self.count += 1
            return open_(request, model)

        for deployment in self.all:
            deployment.opener.open = counted


def house(store: SqliteStore | None, calls: Calls, settings: CacheSettings, told: list) -> ProviderManager:
    cache = ResponseCache(Exact(store.responses if store else None, settings=settings), observer=told.append)
    cache.adopt(settings, calls)
    recall = Replay(store.archive, store.archive, beneath=cache) if store else cache
    return ProviderManager(calls, recall=recall)


async def hit_us(manager: ProviderManager) -> float:
    ask = asked("What is the capital of Portugal?")
    await manager.generate(ask)
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            await manager.generate(ask)
        found.append((time.process_time() - begun) / CALLS * 1e6)
    return statistics.median(found)


async def replay(store: SqliteStore, texts: list[str]) -> dict[str, float]:
    """A Zipf sequence through the manager, and through an LRU of the same size that knows nothing of us."""
    rng, told, calls = random.Random(7), [], Calls()
    manager = house(store, calls, CacheSettings(entries=ENTRIES), told)
    pool = rng.sample(texts, min(len(texts), 1500))
    order = rng.choices(pool, [1 / rank for rank in range(1, len(pool) + 1)], k=REPLAY)
    lru, lru_hits = OrderedDict(), 0
    for text in order:
        await manager.generate(asked(text))
        await (
            store.writer.settled()
        )  # questions come seconds apart: what is put off is written, and bounded, by the next
        lru_hits += text in lru
        lru[text] = True
        lru.move_to_end(text)
        if len(lru) > ENTRIES:
            lru.popitem(last=False)
    looks = [event for event in told if isinstance(event, CacheLooked)]
    hits = [event for event in looks if event.kind == "exact"]
    return {
        "hit_rate": len(hits) / len(looks),
        "lru_hit_rate": lru_hits / REPLAY,
        "calls": calls.count,
        "asked": REPLAY,
        "saved_share": 1 - calls.count / REPLAY,
    }


async def measure() -> dict[str, float]:
    texts = questions()
    with tempfile.TemporaryDirectory() as folder:
        async with sqlite(Path(folder) / "plenum.db") as store:
            durable = await hit_us(house(store, Calls(), CacheSettings(), []))
            memory = await hit_us(house(None, Calls(), CacheSettings(), []))
            twins = Calls()
            manager = house(store, twins, CacheSettings(), [])
            async with anyio.create_task_group() as tasks:
                for _ in range(1000):
                    tasks.start_soon(manager.generate, asked("Who asks what a thousand ask?"))
            found = await replay(store, texts)
    return {
        "hit_us": durable,
        "hit_memory_us": memory,
        "twins_calls": twins.count,
        "real_questions": float(DATA.exists()),
        **found,
    }


def holds(found: dict[str, float]) -> bool:
    near = abs(found["hit_rate"] - found["lru_hit_rate"]) <= 0.005
    return found["hit_us"] <= 300 and found["twins_calls"] == 1 and near and found["hit_rate"] > 0.4


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    found = anyio.run(measure)
    if parser.parse_args().json:
        print(json.dumps(found))
    else:
        print(f"hit {found['hit_us']:.0f} µs CPU with the store, {found['hit_memory_us']:.0f} µs in memory alone")
        print(f"1,000 identical asks: {found['twins_calls']:.0f} call")
        real = "real" if found["real_questions"] else "numbered"
        print(
            f"{found['asked']:.0f} {real} questions by Zipf: {found['hit_rate']:.2%} hits (LRU {found['lru_hit_rate']:.2%}), "
            f"{found['saved_share']:.2%} of the calls saved"
        )
    return 0 if holds(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
