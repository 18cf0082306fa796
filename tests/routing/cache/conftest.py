"""A cache over a real file, a house of one simulated provider, and a clock to turn."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from providers.types import Answer, Usage
from routing.cache.exact import CacheSettings, Exact
from routing.cache.recall import ResponseCache
from routing.store.sqlite import SqliteStore, sqlite
from routing.types import Ask, Receipt, Resolution, Result
from tests.doubles import Listed, sim
from tests.routing.money import Clock, Told

HOUSE = Listed([sim("a"), sim("b")])


@pytest.fixture
def another(tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[SqliteStore]]:
    """Opens the same store once more, as another process does."""
    return lambda: sqlite(tmp_path / "plenum.db")


@pytest.fixture
async def store(another) -> AsyncIterator[SqliteStore]:
    async with another() as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Cache:
    """A response cache with its parts at hand."""

    def __init__(
        self, store: SqliteStore | None, clock: Clock, shelf=None, formation=None, directory=HOUSE, **settings
    ):
        self.told = Told()
        self.settings = CacheSettings(**settings)
        self.exact = Exact(store.responses if store else None, shelf, settings=self.settings, clock=clock)
        self.recall = ResponseCache(self.exact, formation=formation, clock=clock, observer=self.told)
        self.recall.adopt(self.settings, directory)
        self.calls = 0

    async def answer(self, asked: Ask, **facts) -> Result:
        """What a manager does with it: the answer counts the calls."""
        async with self.recall.flight(asked) as flight:
            if flight.found is not None:
                return flight.found
            self.calls += 1
            result = said(f"answer {self.calls}", asked, **facts)
            await flight.keep(result)
            return result


def said(text: str, asked: Ask, *, by: str = "a", **facts) -> Result:
    facts = {"finish_reason": "stop", "usage": Usage(10, 5)} | facts
    receipt = Receipt(f"id {text}", provider=by, model="m", cost_usd=0.5, caller=asked.caller)
    return Result(Answer(text, **facts), receipt)


async def written(store: SqliteStore) -> None:
    """Wait until what was written behind is on disk."""
    await store.ledger.reclaim().wait()


def resolved(name: str = "auto") -> Resolution:
    return Resolution(name, HOUSE.steps, auto=True)
