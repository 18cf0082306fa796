"""The response cache and single flight of replicas on real servers: shared while they run, nobody's delay when they do not."""

import secrets
import time
from contextlib import asynccontextmanager

import anyio
import pytest

from providers.types import Answer, Usage
from routing.cache import flight
from routing.cache.flight import Formation
from routing.cache.key import key_of
from routing.store.redis import RedisSettings, open_redis
from routing.store.shared import SharedLost
from tests.doubles import ask
from tests.routing.cache.conftest import Cache, resolved, said
from tests.routing.money import Clock

pytestmark = pytest.mark.anyio
LATE_S = 20.0  # what a loaded machine may add
PATIENCE_S = 1.5  # of outages: longer than a loaded server ever takes, shorter than the tests' pauses


@asynccontextmanager
async def replicas(url: str, number: int = 2, patience_s: float = 10.0):
    """Response caches of so many replicas, without a store of their own; `shared` is each one's way to the server."""
    settings, found = RedisSettings(prefix=secrets.token_hex(4), patience_s=patience_s), []
    async with _all(url, settings, number) as engines:
        for shared in engines:
            cache = Cache(None, Clock(time.time()), shared, Formation(shared))
            cache.shared = shared
            found.append(cache)
        yield found


@asynccontextmanager
async def _all(url: str, settings: RedisSettings, number: int):
    if number == 0:
        yield []
        return
    async with open_redis(url, settings) as one, _all(url, settings, number - 1) as others:
        yield [one, *others]


async def reached(shared) -> None:
    """Wait until the server answers this replica again."""
    with anyio.fail_after(5 + LATE_S):
        while True:
            try:
                await shared.get("anything")
            except SharedLost:
                await anyio.sleep(0.02)
            else:
                return


async def slow(cache: Cache, asked, begun: anyio.Event, go_on: anyio.Event) -> None:
    """A call that takes until it is told to go on."""
    async with cache.recall.flight(asked) as leading:
        assert leading.found is None
        begun.set()
        await go_on.wait()
        cache.calls += 1
        await leading.keep(said("slowly", asked, usage=Usage(10, 5)))


async def test_what_one_replica_was_answered_the_others_know_whole_and_for_its_caller_alone(shared_redis):
    async with replicas(shared_redis.url) as (one, two):
        long = "word " * 20_000
        first = await one.answer(ask(long))
        again = await two.answer(ask(long))
        assert (again.answer, again.receipt.cached, two.calls) == (first.answer, "exact", 0)
        assert (await two.answer(ask(long, caller="eve"))).receipt.cached == "no"


async def test_rubbish_under_a_key_is_a_miss(shared_redis):
    async with replicas(shared_redis.url) as (one, _):
        await one.answer(ask())
        key = f"answer {key_of(ask(), resolved()).exact}"
        sound = await one.shared.get(key)
        for rubbish in (b"", b"j[]", sound[: len(sound) // 2], sound.replace(b"answer 1", b"answer 9")):
            async with replicas(shared_redis.url, 1) as (fresh,):
                fresh.exact._shelf = one.shared
                await one.shared.put(key, rubbish, 60)
                assert (await fresh.answer(ask())).receipt.cached == "no"


async def test_of_twins_at_two_replicas_one_asks_and_the_other_joins(shared_redis):
    async with replicas(shared_redis.url) as (one, two):
        begun, go_on, joined = anyio.Event(), anyio.Event(), []

        async def join() -> None:
            joined.append(await two.answer(ask()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow, one, ask(), begun, go_on)
            await begun.wait()
            tasks.start_soon(join)
            await anyio.sleep(0.2)
            assert not joined
            go_on.set()
        assert (one.calls, two.calls, joined[0].receipt.cached) == (1, 0, "joined")
        assert joined[0].answer.text == "slowly"


async def test_a_leader_that_dies_is_followed_by_another_when_its_lease_ends(shared_redis, monkeypatch):
    monkeypatch.setattr(flight, "LEASE_S", 0.5)
    async with replicas(shared_redis.url) as (one, two):
        assert (await one.shared.join(key_of(ask(), resolved()).exact, "dead", 0.5)).leads
        with anyio.fail_after(LATE_S):
            assert (await two.answer(ask())).receipt.cached == "no"
        assert two.calls == 1


async def test_paused_for_two_seconds_it_delays_nobody_and_then_is_shared_again(own_redis):
    async with replicas(own_redis.url, patience_s=PATIENCE_S) as (one, two):
        await one.answer(ask("before"))
        own_redis.pause()
        try:
            began = time.monotonic()
            with anyio.fail_after(2 + LATE_S):
                for cache in (one, two):
                    assert (await cache.answer(ask("during"))).receipt.cached == "no"
                    assert (await cache.answer(ask("during"))).receipt.cached == "exact"  # from its own memory
                assert (await one.answer(ask("before"))).receipt.cached == "exact"
            await anyio.sleep(max(0.0, 2 - (time.monotonic() - began)))
        finally:
            own_redis.resume()
        for cache in (one, two):
            await reached(cache.shared)
        assert (await two.answer(ask("before"))).receipt.cached == "exact"
        await one.answer(ask("after"))
        assert (await two.answer(ask("after"))).receipt.cached == "exact"


async def test_killed_and_back_with_nothing_in_it_answers_are_bought_once_more_and_shared_again(own_redis):
    async with replicas(own_redis.url, patience_s=PATIENCE_S) as (one, two):
        await one.answer(ask())
        own_redis.kill()
        assert (await two.answer(ask("meanwhile"))).receipt.cached == "no"
        await anyio.to_thread.run_sync(own_redis.start)
        for cache in (one, two):
            await reached(cache.shared)
        assert (await two.answer(ask())).receipt.cached == "no"
        assert (await one.answer(ask())).receipt.cached == "exact"
        three = Cache(None, Clock(time.time()), one.shared)
        assert (await three.answer(ask())).receipt.cached == "exact"


@pytest.mark.parametrize("how", ["paused", "killed"])
async def test_who_waits_for_anothers_flight_when_it_is_lost_goes_on_alone(own_redis, how):
    async with replicas(own_redis.url, patience_s=PATIENCE_S) as (one, two):
        begun, go_on, found = anyio.Event(), anyio.Event(), []

        async def follow() -> None:
            found.append(await two.answer(ask()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow, one, ask(), begun, go_on)
            await begun.wait()
            tasks.start_soon(follow)
            await anyio.sleep(0.2)
            own_redis.pause() if how == "paused" else own_redis.kill()
            with anyio.fail_after(5 + LATE_S):
                while not found:
                    await anyio.sleep(0.02)
            go_on.set()
        assert (one.calls, two.calls, found[0].receipt.cached) == (1, 1, "no")
        if how == "paused":
            own_redis.resume()
        else:
            await anyio.to_thread.run_sync(own_redis.start)
        await reached(one.shared)


async def test_a_flight_whose_server_came_back_empty_lands_nowhere_and_holds_nobody_up(own_redis):
    async with replicas(own_redis.url, patience_s=PATIENCE_S) as (one, two):
        begun, go_on = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow, one, ask(), begun, go_on)
            await begun.wait()
            own_redis.kill()
            await anyio.to_thread.run_sync(own_redis.start)
            await reached(one.shared)
            await reached(two.shared)
            with anyio.fail_after(5 + LATE_S):
                assert (await two.answer(ask())).answer == Answer("answer 1", finish_reason="stop", usage=Usage(10, 5))
            go_on.set()
        assert (one.calls, two.calls) == (1, 1)
        assert (await two.answer(ask())).receipt.cached == "exact"
