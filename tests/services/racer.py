"""One of several processes that reserve and settle on the same file: `python -m tests.services.racer DB MODE …`.

`race`: take what a budget gives, as fast as it goes, perhaps by leases. `pace`: so many calls a second, telling how long reserving took.
"""

import json
import sys
import time
from pathlib import Path

import anyio

from providers.types import Price, Usage
from routing.costs.leases import leased
from routing.errors import BudgetExceeded
from routing.store.postgres import postgres
from routing.store.sqlite import sqlite
from tests.routing.money import answer, bill, deployment, tracker

DEAR = deployment(price=Price(1000.0, 1.0))  # a token is a tenth of a cent


def opened(place: str):
    return postgres(place) if "://" in place else sqlite(Path(place))


async def race(path: str, name: str, cap_usd: str, *leases: str) -> dict:
    granted = refused = 0
    async with opened(path) as store, leased(store.ledger) as lessor, anyio.create_task_group() as tasks:
        purse = tracker(store, float(cap_usd), ledger=lessor if leases else store.ledger)

        async def one(task: int) -> None:
            nonlocal granted, refused
            for n in range(20):
                try:
                    async with purse.hold(bill(f"{name}-{task}-{n}", tokens=(1, 0), of=DEAR)) as held:
                        held.settle(answer(usage=Usage(input=1)))
                    granted += 1
                except BudgetExceeded:
                    refused += 1

        for task in range(50):
            tasks.start_soon(one, task)
    return {"granted": granted, "refused": refused}


async def pace(path: str, name: str, per_second: str, seconds: str) -> dict:
    waits: list[float] = []
    async with opened(path) as store, anyio.create_task_group() as tasks:
        purse = tracker(store, 1e6)

        async def one(n: int) -> None:
            started = time.perf_counter()
            async with purse.hold(bill(f"{name}-{n}", tokens=(1, 0), of=DEAR)) as held:
                waits.append(time.perf_counter() - started)
                await anyio.sleep(0.3)
                held.settle(answer(usage=Usage(input=1)))

        begin = time.perf_counter()
        for n in range(int(float(per_second) * float(seconds))):
            await anyio.sleep(max(0.0, begin + n / float(per_second) - time.perf_counter()))
            tasks.start_soon(one, n)
    return {"waits": waits}


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(anyio.run({"race": race, "pace": pace}[sys.argv[2]], sys.argv[1], *sys.argv[3:])))
