"""A live answer with its receipt at the end. After its first token nothing is restarted: a failure is told as it is."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Self

import anyio

from providers.errors import ProviderError, TimedOut
from providers.types import Answer, Delta

from .attempt import Live
from .types import Result

Ending = Callable[[ProviderError | None], Awaitable[Result]]


class ReceiptedStream:
    """Iterate for deltas, or ask for `several`; `result` stands after the end, `answer` is what came so far.

    Raises Refusal on the way. `first` is what came already.
    """

    def __init__(self, live: Live, first: Sequence[Delta], ending: Ending) -> None:
        self._live = live
        self._ready = deque(first)
        self._ending = ending
        self._result: Result | None = None

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        if not self._ready:
            self._ready.extend(await self.several())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def several(self) -> Sequence[Delta]:
        """What came together, none at the end."""
        if self._ready:
            came = tuple(self._ready)
            self._ready.clear()
            return came
        if self._result is not None:
            return ()
        if not (came := await self._next()):
            self._result = await self._ending(None)
        return came

    @property
    def answer(self) -> Answer:
        """What stands so far."""
        return self._live.partial or Answer()

    @property
    def id(self) -> str:
        """The receipt's id, known from the start."""
        return self._live.trip.id

    @property
    def model(self) -> str:
        """Who answers, `provider/model`."""
        return self._live.hop.deployment.name

    @property
    def result(self) -> Result:
        """Answer and receipt. Raises RuntimeError before the end."""
        if self._result is None:
            raise RuntimeError("the stream has not ended: iterate it to its end first")
        return self._result

    async def _next(self) -> Sequence[Delta]:
        live = self._live
        left = max(0.0, live.trip.deadline - live.clock())
        try:
            if live.longest_s < left:  # it ends before the deadline does: a scope a piece costs more than the piece
                return await live.several()
            with anyio.move_on_after(left):
                return await live.several()
            await self._ending(TimedOut("the deadline passed in the middle of the answer", billed="yes"))
        except ProviderError as error:
            await self._ending(error)
        raise AssertionError("an ending with an error raises")


class Remembered:
    """The same shape for an answer that was found, not asked for: one delta, then the end."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.answer = result.answer
        self.id = result.receipt.id
        self.model = f"{result.receipt.provider}/{result.receipt.model}"
        self._deltas = iter([Delta("text", result.answer.text)] if result.answer.text else [])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        for delta in self._deltas:
            return delta
        raise StopAsyncIteration

    async def several(self) -> Sequence[Delta]:
        """All of it, then nothing."""
        return tuple(self._deltas)
