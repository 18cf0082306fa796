"""Waiting for the next piece of a live answer: the deadline ends it, unless its provider would have ended it before."""

from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf

import anyio
import pytest
from doubles import Listed, ask, sim

from providers.errors import TimedOut
from providers.simulator.virtual import VirtualLoop
from providers.types import Answer, Delta, Usage
from routing.errors import DeadlinePassed
from routing.manager import ProviderManager

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


class Slow:
    """A provider and its stream: a word every ten seconds; `silent` says nothing from the second on. Notes who ends its waits."""

    headers: dict[str, str] = {}

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.said = 0
        self.ends: list[float] = []

    @asynccontextmanager
    async def open(self, request, model):
        yield self

    @property
    def answer(self):
        return Answer("word " * self.said, finish_reason="stop" if self.said == 3 else None, usage=Usage(1, 3))

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.said == 3:
            raise StopAsyncIteration
        self.ends.append(anyio.current_effective_deadline())
        await anyio.sleep(inf if self.silent and self.said else 10.0)
        self.said += 1
        return Delta("text", "word ")


class Minding(Slow):
    """One that minds its own silence, as those behind HTTP do."""

    longest_s = 25.0

    async def __anext__(self):
        if not (self.silent and self.said):
            return await super().__anext__()
        self.ends.append(anyio.current_effective_deadline())
        await anyio.sleep(self.longest_s)
        raise TimedOut("nothing came", billed="yes")


async def streamed(provider: Slow, deadline_s: float) -> list[float]:
    """Seconds until each wait after the first would have been ended, by the end of the wait's beginning."""
    house = ProviderManager(Listed([replace(sim("slow"), opener=provider)]), clock=anyio.current_time)
    began = anyio.current_time()
    async with house.stream(ask(deadline_s=deadline_s)) as live:
        assert "".join([delta.text async for delta in live]) == "word " * 3
    return [end - began for end in provider.ends[1:]]


async def test_every_wait_ends_at_the_deadline_where_nobody_else_would_end_it() -> None:
    assert await streamed(Slow(), 50.0) == [50.0, 50.0]


async def test_a_wait_that_its_provider_ends_before_the_deadline_is_given_no_second_end() -> None:
    assert await streamed(Minding(), 50.0) == [inf, inf]
    assert await streamed(Minding(), 36.0) == [inf, 36.0]  # only the second could last beyond it
    assert await streamed(Minding(), 35.0) == [35.0, 35.0]


@pytest.mark.parametrize(("deadline_s", "ended_s"), [(30.0, 30.0), (50.0, 35.0)])
async def test_a_provider_that_falls_silent_is_left_at_its_own_limit_or_at_the_deadline(deadline_s, ended_s) -> None:
    house = ProviderManager(Listed([replace(sim("slow"), opener=Minding(silent=True))]), clock=anyio.current_time)
    began = anyio.current_time()
    with pytest.raises(DeadlinePassed) as refusal:
        async with house.stream(ask(deadline_s=deadline_s)) as live:
            [delta async for delta in live]
    assert anyio.current_time() - began == ended_s
    assert [attempt.outcome for attempt in refusal.value.receipt.attempts] == ["timeout"]
