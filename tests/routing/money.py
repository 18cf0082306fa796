"""Small things the money tests are made of: deployments, bills, tariffs without a catalogue, a clock to turn."""

import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import apsw

from providers.types import Answer, Message, ModelCard, Price, Request, Stream, Text, Usage
from routing.costs.budgets import Cap, Plan
from routing.costs.pricing import Tariffs
from routing.costs.tracker import Tracker
from routing.events import Event
from routing.ports import Bill
from routing.store.sqlite import SqliteStore
from routing.types import NANO, Ask, Deployment

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC


class Nobody:
    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        raise AssertionError("nobody is asked in these tests")


def flat(price: Price, usage: Usage) -> int:
    """USD per million tokens is 1,000 nano-dollars a token."""
    plain = usage.input - usage.cached_input - usage.cache_write
    read = price.input if price.cached_input is None else price.cached_input
    written = price.input if price.cache_write is None else price.cache_write
    usd = plain * price.input + usage.cached_input * read + usage.cache_write * written + usage.output * price.output
    return math.ceil(usd * 1000)


def deployment(provider: str = "alpha", model: str = "m1", price: Price | None = Price(1.0, 2.0)) -> Deployment:
    return Deployment(provider, model, provider, ModelCard(model), price, Nobody())


def ask(text: str = "hello", **facts) -> Ask:
    return Ask(Request((Message("user", (Text(text),)),)), **facts)


def bill(name: str = "r1", attempt: int = 1, *, of: Deployment | None = None, tokens=(1000, 500), **facts) -> Bill:
    """With the default price this holds 1,000 x 1 + 500 x 2 = 2,000 micro-dollars."""
    return Bill(name, attempt, ask(id=name, **facts), of or deployment(), *tokens)


def answer(text: str = "hi", usage: Usage | None = None, **facts) -> Answer:
    used = usage or Usage(input=900, output=100)
    return Answer(text, usage=used, usage_seen=True, finish_reason="stop", **facts)


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Told:
    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def tracker(store: SqliteStore, usd: float | None = None, caps: Sequence[Cap] = (), **facts) -> Tracker:
    caps = (*caps, *([Cap("global", "day", usd)] if usd is not None else []))
    plan = facts.pop("plan", None) or Plan(caps, zone="UTC")
    return Tracker(facts.pop("ledger", store.ledger), Tariffs(flat), plan, **{"clock": Clock(), **facts})


def rows(store: SqliteStore | Path, sql: str) -> list[tuple]:
    """What the committed file (or server: a store with a `url`) says."""
    if (url := getattr(store, "url", None)) is not None:
        with ThreadPoolExecutor(1) as elsewhere:  # a connection of its own, whatever loop runs here
            return elsewhere.submit(anyio.run, _ask, url, sql).result()
    path = store if isinstance(store, Path) else store.path
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def change(store, sql: str, *values) -> None:
    """Do this to the rows, past the engine: `?` stands for a value."""
    if (url := getattr(store, "url", None)) is None:
        await store.writer.submit(lambda db: db.execute(sql, values)).wait()
        return
    numbers = iter(range(1, 1 + len(values)))
    await _ask(url, re.sub(r"\?", lambda _: f"${next(numbers)}", sql), *values)


async def _ask(url: str, sql: str, *values) -> list[tuple]:
    import asyncpg

    db = await asyncpg.connect(url, server_settings={"search_path": "plenum"})
    try:
        return [tuple(row) for row in await db.fetch(sql, *values)]
    finally:
        await db.close()


def dies(store) -> None:
    """What is left to see of a process that was killed."""
    if hasattr(store, "url"):
        rows(store, "DELETE FROM owner WHERE id = '" + store.ledger._owner + "' RETURNING 1")
        return
    store.owner.close()


def ends(store) -> None:
    """Its reads come to nothing from now on."""
    if hasattr(store, "url"):
        store.responses._fetch._pool.terminate()
    else:
        store.responses._reader.close()


def spent(store: SqliteStore, scope: str = "global") -> tuple[int, int]:
    """Micro-dollars spent and held in a scope's windows."""
    (found,) = rows(store, f"SELECT spent / 1000, held / 1000 FROM budget WHERE scope = '{scope}'")
    return found


USD = NANO
