"""A process that works through a batch file on the simulator, to be killed in the middle. Says how it goes on stdout.

`python tests/routing/batch_worker.py DB INPUT OUTPUT RPM AT_ONCE`: the parts of the product, put together by hand.
"""

import json
import resource
import sys
import time
from pathlib import Path

import anyio

from providers.simulator import Conduct
from providers.types import Price
from routing.batch import Batch, Count, Done
from routing.cache.exact import CacheSettings, Exact
from routing.cache.recall import ResponseCache
from routing.costs.budgets import Plan
from routing.limits import Limiter, Limits
from routing.manager import ProviderManager
from routing.recall import Replay
from routing.store.sqlite import sqlite
from server.batching import Defaults, Outbox, lines, name_of
from tests.doubles import Listed, sim
from tests.routing.money import tracker

EVERY = 250


async def main(db: Path, source: Path, output: Path, rpm: float, at_once: int) -> None:
    directory = Listed([sim("a", Conduct(latency_s=0.005), price=Price(1.0, 2.0))])
    defaults = Defaults({}, "shell")
    began = time.monotonic()
    async with sqlite(db) as store:
        cache = ResponseCache(Exact(store.responses))
        cache.adopt(CacheSettings(), directory)
        recall = Replay(store.archive, store.archive, beneath=cache)
        purse = tracker(store, plan=Plan(), clock=time.time)
        manager = ProviderManager(directory, recall=recall, purse=purse, gate=Limiter({"a": Limits(rpm=rpm)}))
        box = Outbox(output, name_of(source, defaults))

        def tell(done: Done, count: Count) -> None:
            box.write({"line": done.line.number, "batch": box.batch, "id": done.line.id, "ok": done.result is not None})
            ended = count.answered + count.failed
            if ended % EVERY == 0:
                say(ended, time.monotonic() - began)

        with source.open("rb") as file:
            batch = Batch(box.batch, manager, purse, at_once=at_once)
            count = await batch.run(lines(file, defaults, box.done), tell)
        box.close()
    say(count.answered + count.failed, time.monotonic() - began, end=True)


def say(ended: int, elapsed_s: float, *, end: bool = False) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    facts = {"ended": ended, "elapsed_s": elapsed_s, "peak_kb": peak, "cpu_s": time.process_time(), "end": end}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    db, source, output, rpm, at_once = sys.argv[1:]
    anyio.run(main, Path(db), Path(source), Path(output), float(rpm), int(at_once))
