"""Whatever is done in whatever order by two processes: spent + held stay within the cap, and sums within the attempts."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.types import Usage
from routing.costs.budgets import Cap, Plan
from routing.costs.leases import leased
from routing.errors import BudgetExceeded
from routing.store.sqlite import sqlite
from tests.routing.money import Clock, answer, bill, rows, tracker

STEP = st.tuples(
    st.sampled_from(["hold", "settle", "abandon", "leave", "tick", "raise", "lower"]),
    st.integers(0, 3),
    st.integers(0, 2000),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=40), st.integers(0, 2**16))
def test_no_sequence_of_steps_passes_a_cap(steps, seed):
    with TemporaryDirectory() as folder:
        anyio.run(walk, Path(folder) / "p.db", steps, random.Random(seed), 1)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=60), st.integers(0, 2**16))
def test_no_sequence_of_steps_under_leases_passes_a_cap(steps, seed):
    with TemporaryDirectory() as folder:
        anyio.run(walk, Path(folder) / "p.db", steps, random.Random(seed), 30)


async def walk(path: Path, steps, rng: random.Random, times: int) -> None:
    """Budgets so many times what a few calls cost: where they are many, calls are paid out of leases."""
    caps = {"global": 0.010 * times, "provider:alpha": 0.006 * times, "caller:c1": 0.004 * times}
    highest = dict(caps)
    clock = Clock()
    plan = lambda: Plan(tuple(Cap(scope, "day", usd) for scope, usd in caps.items()), zone="UTC")
    async with (
        sqlite(path) as one,
        sqlite(path) as two,
        leased(one.ledger, look_s=3600) as first,
        leased(two.ledger, look_s=3600) as second,
    ):
        purses = [
            tracker(one, plan=plan(), clock=clock, ledger=first),
            tracker(two, plan=plan(), clock=clock, ledger=second),
        ]
        open_: list = []
        for n, (step, which, amount) in enumerate(steps):
            if step == "hold":
                held = purses[which % 2].hold(bill(str(n), tokens=(amount, 0), caller=f"c{which % 2}"))
                try:
                    open_.append((held, await held.__aenter__(), amount))
                except BudgetExceeded:
                    pass
            elif step in ("settle", "abandon", "leave") and open_:
                context, held, held_for = open_.pop(which % len(open_))
                used = Usage(input=rng.randint(0, held_for))
                if step == "settle":
                    held.settle(answer("", usage=used))
                elif step == "abandon":
                    held.abandon(rng.choice(["unsent", "no", "unknown", "yes"]), None)
                await context.__aexit__(None, None, None)
            elif step == "tick":
                clock.now += rng.choice([60, 86_400, -3600])
            else:
                caps["global"] = amount / 100_000 * times
                highest["global"] = max(highest["global"], caps["global"])
                purses[which % 2].plan = plan()
            await check(one, two, highest)
        for context, _, _ in open_:
            await context.__aexit__(None, None, None)
        await check(two, one, highest)
        for leases in (first, second):
            await leases.aclose()
        await check(one, two, highest)
        assert rows(one, "SELECT count(*) FROM attempt WHERE state = 0") == [(0,)]


async def check(store, other, highest) -> None:
    for writing in (store, other):
        await writing.ledger.reclaim().wait()
    for scope, starts, ends, spent, held in rows(store, "SELECT scope, starts, ends, spent, held FROM budget"):
        assert 0 <= spent and 0 <= held
        assert spent + held <= round(highest[scope] * 10**9)
        kind, _, name = scope.partition(":")
        where = f"AND {kind} = '{name}'" if name else ""
        query = f"""SELECT coalesce(sum(CASE WHEN state THEN cost END), 0), coalesce(sum(CASE state WHEN 0 THEN held END), 0)
          FROM attempt WHERE at >= {starts} AND at < {ends} {where}"""
        assert rows(store, query) == [(spent, held)]
