"""Kept answers and meanings on a server: the suite of the file, and what replicas share where there is no Redis."""

import time

import anyio
import pytest

from routing.cooldowns import Cooldowns, CooldownSettings, Notice
from routing.fleet import Commons
from routing.limits import Limiter, Limits
from routing.store import postgres as package
from routing.store.cache import Bounds, Row
from routing.store.faults import StoreFault
from routing.store.shared import SharedLost
from tests.doubles import ask
from tests.routing.cache import test_exact, test_semantic
from tests.routing.cache.conftest import Cache, clock, said, written
from tests.routing.money import change, rows
from tests.routing.store import test_commons
from tests.services.test_ledger_postgres import another, opened, store

pytestmark = pytest.mark.anyio
fixtures = (another, store, clock)

for suite in (test_exact, test_semantic, test_commons):
    found = {name: test for name, test in vars(suite).items() if name.startswith("test_")}
    globals().update(
        {
            name: test
            for name, test in found.items()
            if {"store", "another"} & set(test.__code__.co_varnames[: test.__code__.co_argcount])
        }
    )


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A loaded machine makes no misses here; what is not waited for has a test of its own."""
    monkeypatch.setattr(package, "PATIENCE_S", 30.0)


async def test_forgetting_a_month_forgets_its_cached_answers_too(store, clock):
    from routing.recall import Replay

    cache = Cache(store, clock)
    replay = Replay(store.archive, store.archive, beneath=cache.recall, clock=clock)
    async with replay.flight(ask()) as flight:
        await flight.keep(said("a secret", ask()))
    await written(store)
    assert rows(store, "SELECT entries FROM response_total") == [(1,)]
    assert await store.archive.forget_before(clock.now + 40 * 86_400).wait() == 1
    assert rows(store, "SELECT (SELECT count(*) FROM response), entries, bytes FROM response_total") == [(0, 0, 0)]


async def test_a_server_that_does_not_answer_is_not_waited_for_by_the_cache(own_postgres, clock, monkeypatch):
    monkeypatch.setattr(package, "PATIENCE_S", 2.0)
    async with opened(own_postgres.url) as found:
        await Cache(found, clock).answer(ask())
        await written(found)
        own_postgres.pause()
        try:
            with pytest.raises(StoreFault):
                await found.responses.read("k")
            began = time.monotonic()
            fresh = Cache(found, clock)
            with anyio.fail_after(30):
                assert (await fresh.answer(ask())).receipt.cached == "no"
                assert (await fresh.answer(ask())).receipt.cached == "exact"  # from memory: nobody can say it is stale
            assert time.monotonic() - began < 30
        finally:
            own_postgres.resume()
        with anyio.fail_after(30):
            while (await Cache(found, clock).answer(ask())).receipt.cached != "exact":
                await anyio.sleep(0.05)


async def test_replicas_that_serve_share_the_limits_and_the_holds_through_the_server(another):
    async with another() as one, another() as two, another() as a_command:
        gates = [Limiter({"e": Limits(rpm=60)}) for _ in range(2)]
        cooldowns = [Cooldowns(CooldownSettings(), time.monotonic) for _ in range(2)]
        commons = [
            Commons(found.board, known, gate=gate)
            for found, known, gate in zip((one, two), cooldowns, gates, strict=True)
        ]
        for _ in range(2):
            for each in commons:
                assert await each.exchange()
        await a_command.ledger.reclaim().wait()
        assert [gate._line("e").limits.rpm for gate in gates] == [30, 30]
        assert [each.gathering.replicas for each in commons] == [2, 2]
        await change(two, "UPDATE owner SET shares = shares - interval '1 minute' RETURNING 1")
        assert (await one.board.exchange("", [], {})).replicas == 1


async def test_a_board_that_cannot_be_reached_says_so_and_later_goes_on(own_postgres, monkeypatch):
    from routing.store.postgres import writer

    monkeypatch.setattr(writer, "GRACE_S", 0.5)
    async with opened(own_postgres.url) as found:
        await found.board.exchange("", [Notice("e", "rate limited", 900.0)], {})
        own_postgres.kill()
        with pytest.raises(SharedLost):
            await found.board.exchange("", [Notice("k", "key refused", 900.0)], {})
        await anyio.to_thread.run_sync(own_postgres.start)
        with anyio.fail_after(30):
            while True:
                try:
                    heard = await found.board.exchange("", [Notice("k", "key refused", 900.0)], {})
                    break
                except SharedLost:
                    await anyio.sleep(0.05)
        assert {notice.name for notice in heard.notices} == {"e", "k"}


async def test_the_oldest_go_when_there_are_too_many_and_the_sums_stay_true(store):
    bounds = Bounds(200, 1 << 30)
    for number in range(600):
        store.responses.keep(Row(f"k{number}", "me", "r", float(number), b"x" * 100).sealed(), (), bounds)
    await written(store)
    await written(store)
    assert rows(store, "SELECT entries, bytes FROM response_total") == [(200, 20_000)]
    assert rows(store, "SELECT min(at), count(*) FROM response") == [(400.0, 200)]
