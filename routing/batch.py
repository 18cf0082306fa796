"""Many asks within one envelope: so many at a time, each told once when it is done, in the order they end.

Lines come from an iterator and are read as they are needed: a file of any size takes the memory of those in flight.
Above: `server/batching.py` (files). Below: the manager; a line's request_id makes it paid once over any number of runs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio

from .errors import BudgetExceeded, Refusal
from .types import Ask, Result


@dataclass(frozen=True, slots=True)
class Line:
    """One request: `ask`, or the `fault` that keeps it from being one. `number` counts from 1."""

    number: int
    id: str
    ask: Ask | None = None
    fault: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A line that has come to an end."""

    line: Line
    result: Result | None = None
    refusal: Refusal | None = None


@dataclass(slots=True)
class Count:
    """How it stands. `usd` is what was paid in this run; `stopped` why lines were left undone."""

    answered: int = 0
    failed: int = 0
    repeated: int = 0  # given again at no cost: cached, joined, replayed
    usd: float = 0.0
    codes: dict[str, int] = field(default_factory=dict[str, int])
    stopped: Refusal | None = None


class Asker(Protocol):
    """Who answers."""

    async def generate(self, ask: Ask) -> Result: ...


class Purse(Protocol):
    """Whose money it is."""

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]: ...  # noqa: A002


@dataclass(frozen=True, slots=True)
class Batch:
    """`id` names the batch over all its runs; `usd` is what this run may spend; `at_once` how many lines run together."""

    id: str
    manager: Asker
    purse: Purse | None = None
    usd: float | None = None
    at_once: int = 32

    async def run(self, lines: Iterator[Line], tell: Callable[[Done, Count], None]) -> Count:
        """Ask every line. When the envelope is empty no further line is begun: what is left can be asked another day."""
        count = Count()
        envelope = self.purse.envelope(self.id, self.usd) if self.purse else nullcontext()
        with envelope:
            async with anyio.create_task_group() as tasks:
                for _ in range(self.at_once):
                    tasks.start_soon(self._work, lines, count, tell)
        return count

    async def _work(self, lines: Iterator[Line], count: Count, tell: Callable[[Done, Count], None]) -> None:
        while count.stopped is None and (line := next(lines, None)) is not None:
            await anyio.lowlevel.checkpoint()  # a file of faults blocks nobody
            done = await self._done(line)
            if isinstance(done.refusal, BudgetExceeded):
                count.stopped = count.stopped or done.refusal
                return
            _counted(count, done)
            tell(done, count)

    async def _done(self, line: Line) -> Done:
        if line.ask is None:
            return Done(line, refusal=line.fault)
        ask = replace(line.ask, part_of=self.id, request_id=f"{self.id}:{line.number}")
        try:
            return Done(line, await self.manager.generate(ask))
        except Refusal as refusal:
            return Done(line, refusal=refusal)


def _counted(count: Count, done: Done) -> None:
    if done.result is None:
        count.failed += 1
        code = done.refusal.code if done.refusal else "invalid_request"
        count.codes[code] = count.codes.get(code, 0) + 1
        return
    count.answered += 1
    count.repeated += done.result.receipt.cached != "no"
    count.usd += done.result.receipt.cost_usd or 0.0
