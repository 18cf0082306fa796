"""One suite over every engine of shared state: the process's own, Redis 6.2, Valkey."""

import secrets
import time

import anyio
import pytest

from routing.cooldowns import Notice
from routing.pace import Pace
from routing.store.memory import Memory
from routing.store.redis import RedisSettings, open_redis
from routing.store.shared import Gathering, Seat, Terms

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "redis", "valkey"])
async def shared(request):
    """An empty engine: for a server, keys under a prefix of this test."""
    if request.param == "memory":
        yield Memory()
        return
    server = request.getfixturevalue(f"{request.param}_server")
    async with open_redis(server.url, RedisSettings(prefix=secrets.token_hex(4))) as engine:
        yield engine


def terms(name="all", **limits):
    return (Terms("endpoint", name, **limits),)


async def test_requests_flow_at_their_pace_and_say_how_long_to_wait(shared):
    lines, began = terms(requests=Pace(50, 1)), time.monotonic()  # fifty at once, one a second
    granted = 0
    while (wait := await shared.reserve(secrets.token_hex(4), 0, lines, 60)) is None:
        granted += 1
        assert granted <= 51 + (time.monotonic() - began)
    assert granted >= 50
    assert wait.why == "rpm" and 0 < wait.wait_s <= 1


async def test_settling_gives_tokens_back_once_and_leaves_debt(shared):
    lines = terms(tokens=Pace(1000, 10))
    assert await shared.reserve("a", 1000, lines, 60) is None
    wait = await shared.reserve("b", 500, lines, 60)
    assert wait.why == "tpm" and wait.wait_s == pytest.approx(50, abs=1)
    assert await shared.settle("a", -900, lines)
    assert not await shared.settle("a", -900, lines)
    assert await shared.reserve("b", 500, lines, 60) is None
    assert await shared.settle("b", 1500, lines)
    assert (await shared.reserve("c", 1, lines, 60)).wait_s == pytest.approx(110, abs=2)


async def test_more_than_the_burst_runs_on_an_empty_bucket_and_leaves_its_debt(shared):
    lines = terms(tokens=Pace(100, 10))
    assert await shared.reserve("large", 1000, lines, 60) is None
    assert (await shared.reserve("next", 100, lines, 60)).wait_s == pytest.approx(100, abs=1)


async def test_places_are_leased_and_a_dead_holders_comes_back(shared):
    lines = terms(concurrency=1)
    assert await shared.reserve("dead", 0, lines, 0.2) is None
    assert (await shared.reserve("b", 0, lines, 60)).why == "concurrency"
    await anyio.sleep(0.25)
    assert await shared.reserve("b", 0, lines, 60) is None
    assert await shared.settle("b", 0, lines)
    assert await shared.reserve("c", 0, lines, 60) is None


async def test_the_day_is_counted_and_a_new_one_starts_at_nothing(shared):
    today, tomorrow = (terms(rpd=2, day=day, day_s=3600) for day in ("2026-11-21", "2026-11-22"))
    for lease in ("a", "b"):
        assert await shared.reserve(lease, 0, today, 60) is None
    wait = await shared.reserve("c", 0, today, 60)
    assert (wait.why, wait.wait_s) == ("rpd", 3600)
    assert await shared.reserve("c", 0, tomorrow, 60) is None


async def test_two_lines_are_taken_together_or_not_at_all(shared):
    model, endpoint = terms("m1", requests=Pace(1, 0.1))[0], terms(requests=Pace(5, 0.1))[0]
    assert await shared.reserve("a", 0, (model, endpoint), 60) is None
    for _ in range(10):
        assert (await shared.reserve("b", 0, (model, endpoint), 60)).wait_s == pytest.approx(10, abs=1)
    for lease in ("c", "d", "e", "f"):
        assert await shared.reserve(lease, 0, (endpoint,), 60) is None
    assert await shared.reserve("g", 0, (endpoint,), 60) is not None


async def test_what_was_used_behind_the_stores_back_is_charged_even_when_it_says_no(shared):
    lines = terms(requests=Pace(10, 1), debt_requests=30)
    assert (await shared.reserve("a", 0, lines, 60)).wait_s == pytest.approx(21, abs=1)
    assert (await shared.reserve("a", 0, terms(requests=Pace(10, 1)), 60)).wait_s == pytest.approx(21, abs=1)


async def test_holds_reach_every_replica_the_longest_wins_and_any_may_lift(shared):
    await shared.exchange("one", [Notice("e", "rate limited", 30)], {})
    await shared.exchange("two", [Notice("e", "rate limited", 5), Notice("k", "key refused", 600, trial=True)], {})
    heard = {notice.name: notice for notice in (await shared.exchange("three", [], {})).notices}
    assert heard["e"].left_s == pytest.approx(30, abs=1)
    assert (heard["k"].reason, heard["k"].trial) == ("key refused", True)
    await shared.exchange("three", [Notice("e", "rate limited", 0)], {})
    assert [notice.name for notice in (await shared.exchange("one", [], {})).notices] == ["k"]


async def test_a_hold_ends_by_itself(shared):
    await shared.exchange("one", [Notice("e", "rate limited", 0.05)], {})
    await anyio.sleep(0.1)
    assert (await shared.exchange("one", [], {})).notices == ()


async def test_replicas_are_counted_and_their_hints_added_up(shared):
    await shared.exchange("one", [], {"alpha": "unhealthy", "beta": "degraded"})
    found = await shared.exchange("two", [], {"alpha": "unhealthy"})
    assert found == Gathering((), 2, {"alpha": {"unhealthy": 2}, "beta": {"degraded": 1}})


async def test_no_more_probes_than_allowed_over_all_replicas_and_a_dead_ones_comes_back(shared):
    first = await shared.take("e", 2, 60)
    assert isinstance(first, str) and isinstance(await shared.take("e", 2, 0.1), str)
    wait = await shared.take("e", 2, 60)
    assert isinstance(wait, float) and 0 < wait <= 0.1
    await shared.give("e", first)
    assert isinstance(await shared.take("e", 2, 60), str)
    await anyio.sleep(0.15)
    assert isinstance(await shared.take("e", 2, 60), str)


async def test_a_value_is_kept_for_its_time_and_no_longer(shared):
    assert await shared.get("k") is None
    await shared.put("k", b"\x00value", 0.1)
    assert await shared.get("k") == b"\x00value"
    await anyio.sleep(0.15)
    assert await shared.get("k") is None


async def test_of_a_flight_one_leads_and_the_others_get_what_it_found(shared):
    assert await shared.join("f", "a", 60) == Seat(leads=True)
    assert await shared.join("f", "a", 60) == Seat(leads=True)
    assert await shared.join("f", "b", 60) == Seat(leads=False)
    assert not await shared.land("f", "b", b"forged", 60)
    assert await shared.land("f", "a", b"found", 60)
    assert await shared.join("f", "b", 60) == Seat(leads=False, value=b"found")


async def test_a_leader_that_dies_or_finds_nothing_leaves_the_lead_to_another(shared):
    await shared.join("f", "dead", 0.1)
    await anyio.sleep(0.15)
    assert (await shared.join("f", "b", 60)).leads
    assert not await shared.land("f", "dead", b"late", 60)
    assert await shared.land("f", "b", None, 60)
    assert (await shared.join("f", "c", 60)).leads
