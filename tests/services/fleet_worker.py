"""One replica in a process of its own: tasks that take slots as fast as they get them; prints when it had each.

usage: fleet_worker.py URL PREFIX LIMIT PERIOD_S SECONDS TASKS
"""

import json
import sys
import time

import anyio

from providers.types import ModelCard
from routing.cooldowns import Cooldowns, CooldownSettings
from routing.fleet import Commons, FleetLimiter
from routing.limits import Limits, LimitSettings
from routing.ports import QuotaWait
from routing.store.redis import RedisSettings, open_redis
from routing.types import Deployment


async def work(url: str, prefix: str, limit: float, period_s: float, seconds: float, tasks: int) -> list[float]:
    stamps: list[float] = []
    deployment = Deployment("alpha", "m1", "alpha", ModelCard("m1"), None, None)
    async with (
        open_redis(url, RedisSettings(prefix=prefix, patience_s=1.0)) as shared,
        anyio.create_task_group() as group,
    ):
        gate = FleetLimiter(
            shared, {"alpha": Limits(rpm=limit)}, LimitSettings(period_s=period_s), clock=time.monotonic
        )
        commons = Commons(shared, Cooldowns(CooldownSettings(), time.monotonic), gate=gate)
        await commons.exchange()
        group.start_soon(commons.run)
        end = time.monotonic() + seconds

        async def one() -> None:
            while time.monotonic() < end:
                try:
                    async with gate.slot(deployment, 0, end):
                        stamps.append(time.monotonic())
                except QuotaWait:
                    return

        async with anyio.create_task_group() as workers:
            for _ in range(tasks):
                workers.start_soon(one)
        group.cancel_scope.cancel()
    return stamps


if __name__ == "__main__":
    url, prefix, *numbers = sys.argv[1:]
    limit, period_s, seconds, tasks = map(float, numbers)
    print(json.dumps(anyio.run(work, url, prefix, limit, period_s, seconds, int(tasks))))
