"""Reading a provider that hands over together what came together: nothing is asked for piece by piece, all is told."""

from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from doubles import Listed, ask, sim

from providers.simulator.virtual import VirtualLoop
from providers.types import Answer, Delta, Usage
from routing.events import Progressed
from routing.manager import ProviderManager
from routing.streamed import Remembered
from routing.types import Receipt, Result

pytestmark = pytest.mark.anyio

PIECES = ((Delta("alive"),), (Delta("text", "a"), Delta("reasoning", "hm"), Delta("text", "b")), (Delta("text", "c"),))


class Together:
    """A provider and its stream: these pieces, each after `pace_s`; it cannot be read one by one."""

    headers: dict[str, str] = {}

    def __init__(self, *pieces: object, pace_s: float = 0.0) -> None:
        self.pieces, self.pace_s, self.reads = list(pieces), pace_s, 0

    @asynccontextmanager
    async def open(self, request, model):
        yield self

    @property
    def answer(self):
        return Answer("abc", finish_reason=None if self.pieces else "stop", usage=Usage(1, 3), usage_seen=True)

    async def several(self):
        self.reads += 1
        if not self.pieces:
            return ()
        await anyio.sleep(self.pace_s)
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


def house(provider: Together, *others) -> ProviderManager:
    first = replace(sim("together"), opener=provider, priority=1)
    return ProviderManager(Listed([first, *others]), clock=anyio.current_time)


async def test_a_whole_answer_is_read_in_as_many_steps_as_it_had_pieces_and_every_text_is_told():
    told: list[Progressed] = []
    provider = Together(*PIECES, pace_s=1.0)
    result = await house(provider).generate(ask(), told.append)
    assert result.answer.text == "abc"
    assert [progress.text for progress in told if progress.text] == ["a", "b", "c"]
    assert provider.reads == len(PIECES) + 1
    assert result.receipt.ttft_s == 2.0  # a sign of life is no token
    assert result.receipt.attempts[0].latency_s == 3.0


async def test_a_live_answer_hands_out_one_by_one_what_it_read_together():
    provider = Together(*PIECES)
    async with house(provider).stream(ask()) as live:
        seen = [(delta.text, provider.reads) async for delta in live]
    assert seen == [("a", 2), ("hm", 2), ("b", 2), ("c", 3)]
    assert provider.reads == len(PIECES) + 1


async def test_each_piece_begins_the_wait_for_the_next_anew():
    """Half of 60 s may pass in silence while another could be asked; here 50 pass in pieces of 10."""
    provider = Together(*([PIECES[2]] * 5), pace_s=10.0)
    result = await house(provider, sim("other")).generate(ask(deadline_s=60.0))
    assert [(a.provider, a.outcome) for a in result.receipt.attempts] == [("together", "ok")]


async def test_a_slow_sign_of_life_is_no_answer_and_another_is_asked():
    provider = Together(*([PIECES[0]] * 5), pace_s=10.0)
    result = await house(provider, sim("other")).generate(ask(deadline_s=60.0))
    assert [(a.provider, a.outcome) for a in result.receipt.attempts] == [("together", "timeout"), ("other", "ok")]


async def test_a_bug_in_reading_together_is_the_providers_failure():
    result = await house(Together(PIECES[1], KeyError("theirs")), sim("other")).generate(ask())
    failed = result.receipt.attempts[0]
    assert (failed.outcome, failed.reason) == ("malformed", "reading the answer failed (KeyError)")


async def test_a_live_answer_hands_out_together_what_came_together_and_nothing_after_its_end():
    provider = Together(*PIECES)
    async with house(provider).stream(ask()) as live:
        assert (await anext(live)).text == "a"
        seen = []
        while came := await live.several():
            seen.append("".join(delta.text for delta in came))
        assert seen == ["hmb", "c"]
        assert await live.several() == ()
        assert live.result.answer.text == "abc"


async def test_a_remembered_answer_comes_as_one_piece_either_way():
    def remembered() -> Remembered:
        return Remembered(Result(Answer("abc"), Receipt("r", provider="p", model="m")))

    together = remembered()
    assert (await together.several(), await together.several()) == ((Delta("text", "abc"),), ())
    assert [delta async for delta in remembered()] == [Delta("text", "abc")]
