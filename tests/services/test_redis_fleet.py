"""Replicas on one Redis: together within the limit, also while it is paused, killed, and back with nothing in it."""

import bisect
import json
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from providers.errors import AuthenticationFailed, RateLimited, Unavailable
from providers.types import ModelCard
from routing.breaker import BreakerSettings
from routing.cooldowns import Cooldowns, CooldownSettings
from routing.fleet import STRANGERS, Commons, FleetLimiter, share
from routing.guard import Guards, Rules
from routing.limits import Limits, LimitSettings
from routing.ports import CircuitOpen, QuotaWait
from routing.store.redis import RedisSettings, open_redis
from routing.store.shared import SharedLost
from routing.types import Deployment

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def deployment(model="m1"):
    return Deployment("alpha", model, "alpha", ModelCard(model), None, None)


def worst_window(stamps, width):
    stamps = sorted(stamps)
    return max(bisect.bisect_left(stamps, start + width) - i for i, start in enumerate(stamps))


class Replica:
    """A gate and what keeps it in step, over a connection of its own."""

    def __init__(self, shared, limits, period_s=60.0) -> None:
        self.shared, self.stamps, self.slowest_s = shared, [], 0.0
        clock = time.monotonic
        self.cooldowns = Cooldowns(CooldownSettings(), clock)
        self.gate = FleetLimiter(shared, {"alpha": limits}, LimitSettings(period_s=period_s), clock=clock)
        self.commons = Commons(shared, self.cooldowns, gate=self.gate, every_s=0.1)

    async def press(self, until, patience_s=1.0):
        """Ask without pause, each time with a deadline."""
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                async with self.gate.slot(deployment(), 0, began + patience_s):
                    self.stamps.append(time.monotonic())
            except QuotaWait:
                await anyio.sleep(0.02)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)


@pytest.fixture
async def replicas(own_redis):
    """Two replicas, in step, on a server of their own."""
    settings = RedisSettings(prefix=secrets.token_hex(4))
    async with open_redis(own_redis.url, settings) as one, open_redis(own_redis.url, settings) as two:
        found = [Replica(shared, Limits(rpm=200), period_s=4.0) for shared in (one, two)]
        for _ in range(2):
            for replica in found:
                assert await replica.commons.exchange()
        yield found


async def press_all(replicas, seconds, disturb):
    until = time.monotonic() + seconds
    async with anyio.create_task_group() as tasks:
        for replica in replicas:
            tasks.start_soon(replica.commons.run)
        async with anyio.create_task_group() as workers:
            workers.start_soon(disturb)
            for replica in replicas:
                for _ in range(5):
                    workers.start_soon(replica.press, until)
        tasks.cancel_scope.cancel()
    return [stamp for replica in replicas for stamp in replica.stamps]


async def reached(replica, within_s):
    """Seconds until this replica's slots come from the store again."""
    began = time.monotonic()
    with anyio.fail_after(within_s):
        while True:
            try:
                await replica.shared.get("ping")
            except SharedLost:
                await anyio.sleep(0.02)
            else:
                return time.monotonic() - began


def test_four_processes_of_fifty_tasks_stay_within_one_limit_and_use_it(redis_server):
    limit, period_s, seconds = 400, 4.0, 9.0
    prefix = secrets.token_hex(4)
    command = [sys.executable, str(HERE / "fleet_worker.py"), redis_server.url, prefix]
    command += [str(number) for number in (limit, period_s, seconds, 50)]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(4)
    ]
    stamps = [stamp for worker in workers for stamp in json.loads(worker.communicate(timeout=60)[0])]
    assert worst_window(stamps, period_s) <= limit * 1.01
    assert len(stamps) >= 0.8 * limit * seconds / period_s


async def test_a_pause_of_two_seconds_hangs_nobody_and_stays_within_the_limit(replicas, own_redis):
    async def pause():
        await anyio.sleep(1.5)
        own_redis.pause()
        await anyio.sleep(2)
        own_redis.resume()

    stamps = await press_all(replicas, 6, pause)
    assert max(replica.slowest_s for replica in replicas) < 1.9
    assert worst_window(stamps, 4.0) <= 200 * 1.01
    assert await reached(replicas[0], 5) < 5
    assert len(stamps) > 200


async def test_killed_and_back_with_nothing_in_it_nobody_gets_a_second_burst(replicas, own_redis):
    async def kill():
        await anyio.sleep(1.5)
        own_redis.kill()
        await anyio.sleep(1)
        await anyio.to_thread.run_sync(own_redis.start)

    stamps = await press_all(replicas, 7, kill)
    assert max(replica.slowest_s for replica in replicas) < 1.9
    assert worst_window(stamps, 4.0) <= 200 * 1.01
    assert await reached(replicas[0], 5) < 5
    assert len(stamps) > 200


async def test_without_the_store_each_goes_on_with_its_share_never_with_everything(replicas, own_redis):
    own_redis.kill()
    began = time.monotonic()

    async def nothing():
        return

    stamps = await press_all(replicas, 2.5, nothing)
    passed = time.monotonic() - began
    assert 10 <= len(stamps) <= 200 * 0.1 + 200 * 0.9 * passed / 4 + 4


async def test_never_having_reached_the_store_it_takes_a_careful_share():
    async with open_redis("redis://127.0.0.1:1/0") as shared, anyio.create_task_group() as tasks:
        gate = Replica(shared, Limits(rpm=400, concurrency=8)).gate
        held = 0

        async def keep():
            nonlocal held
            async with gate.slot(deployment(), 0, time.monotonic() + 0.3):
                held += 1
                await anyio.sleep_forever()

        for _ in range(2):
            tasks.start_soon(keep)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(QuotaWait, match="concurrency"):
            async with gate.slot(deployment(), 0, time.monotonic() + 0.3):
                pass
        assert held == 2 == share(Limits(concurrency=8), STRANGERS).concurrency
        tasks.cancel_scope.cancel()


async def test_without_the_store_probes_are_decided_by_each_replica_alone():
    async with open_redis("redis://127.0.0.1:1/0") as shared:
        lease = await shared.take("alpha", 1, 60)
        assert lease == ""
        await shared.give("alpha", "any")


async def test_a_full_line_refuses_and_a_short_hold_of_the_provider_is_waited_for(redis_server):
    async with open_redis(redis_server.url, RedisSettings(prefix=secrets.token_hex(4), patience_s=30.0)) as shared:
        gate = FleetLimiter(shared, {}, LimitSettings(queue=1), clock=time.monotonic)
        async with gate.slot(deployment(), 1, time.monotonic() + 1) as slot:
            slot.settle(1, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "200ms"})
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:

            async def wait():
                async with gate.slot(deployment(), 1, began + 5):
                    assert time.monotonic() - began >= 0.15

            tasks.start_soon(wait)
            await anyio.sleep(0.05)
            with pytest.raises(QuotaWait, match="queue"):
                async with gate.slot(deployment(), 1, began + 5):
                    pass


async def test_a_cancelled_request_gives_its_place_back_to_the_fleet(redis_server):
    async with open_redis(redis_server.url, RedisSettings(prefix=secrets.token_hex(4), patience_s=30.0)) as shared:
        replica = Replica(shared, Limits(concurrency=1))
        rng = random.Random(5)

        async def suffer():
            with anyio.move_on_after(rng.uniform(0, 0.01)):
                async with replica.gate.slot(deployment(), 0, time.monotonic() + 5):
                    await anyio.sleep(rng.uniform(0, 0.005))

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(suffer)
        async with replica.gate.slot(deployment(), 0, time.monotonic() + 1):
            pass
        assert replica.gate.queue("alpha").waiting == 0


async def test_true_usage_and_the_providers_words_correct_the_fleets_limits(redis_server):
    async with open_redis(redis_server.url, RedisSettings(prefix=secrets.token_hex(4), patience_s=30.0)) as shared:
        replica = Replica(shared, Limits(tpm=4000))
        for _ in range(5):
            async with replica.gate.slot(deployment(), 1000, time.monotonic() + 0.3) as slot:
                slot.settle(10)
        async with replica.gate.slot(deployment(), 10, time.monotonic() + 0.3) as slot:
            slot.settle(9000, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "30s"})
        assert replica.gate.wait_s(deployment(), 1) > 20
        for model, why in (("m1", "provider's own limit"), ("m2", "tpm")):
            with pytest.raises(QuotaWait) as caught:
                async with replica.gate.slot(deployment(model), 10, time.monotonic() + 1):
                    pass
            assert caught.value.why == why


@pytest.fixture
async def two_guards(redis_server):
    settings = RedisSettings(prefix=secrets.token_hex(4))
    async with open_redis(redis_server.url, settings) as one, open_redis(redis_server.url, settings) as two:
        rules = Rules(BreakerSettings(failures=1, open_s=0.05, jitter=0.0))
        guards = [Guards(rules, leases=shared) for shared in (one, two)]
        yield guards, [Commons(s, g.cooldowns) for s, g in zip((one, two), guards, strict=True)]


async def call(guards, error=None):
    async with guards.admit(deployment()) as permit:
        permit.failed(error) if error else permit.succeeded(1.0, None, 1)


@pytest.mark.parametrize("error", [RateLimited("x", after=30), AuthenticationFailed("x")])
async def test_what_one_replica_learns_of_a_key_the_others_know_and_lifting_too(two_guards, error):
    (one, two), commons = two_guards
    await call(one, error)
    for both in commons:
        await both.exchange()
    with pytest.raises(CircuitOpen):
        await call(two)
    one.reset()
    for both in commons:
        await both.exchange()
    await call(two)


async def test_an_open_breaker_stays_with_its_replica_but_probes_are_counted_over_all(two_guards):
    (one, two), _ = two_guards
    await call(one, Unavailable("x"))
    assert two.blocked(deployment()) is None
    await call(two, Unavailable("x"))
    await anyio.sleep(0.1)
    async with one.admit(deployment()) as probe:
        with pytest.raises(CircuitOpen, match="another replica"):
            await call(two)
        probe.succeeded(1.0, None, 1)
    await call(two)


async def test_the_configured_store_makes_the_gate_that_of_a_fleet_and_its_loss_does_not_stop_it_opening(redis_server):
    from server.config import Config
    from server.hub import Hub
    from server.protection import protection

    for url in (redis_server.url, "redis://127.0.0.1:1/0"):
        async with protection(Config.model_validate({"store": {"shared": url}}), Hub()) as found:
            assert isinstance(found.limiter, FleetLimiter)
            found.limiter.replace({"alpha": Limits(rpm=600)})
            async with found.limiter.slot(deployment(), 1, time.monotonic() + 1) as slot:
                slot.settle(1)
            assert found.limiter.view("alpha").running == 0
