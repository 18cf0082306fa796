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

ENOUGH = 32  # lines in a row that cannot be paid: the next one will not be either


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
    """How it stands. `usd` is what was paid in this run; `stopped` why lines were left unread.

    Lines put aside could not be paid: they are neither answered nor failed, and asked by the next run.
    """

    answered: int = 0
    failed: int = 0
    repeated: int = 0  # given again at no cost: cached, joined, replayed
    usd: float = 0.0
    codes: dict[str, int] = field(default_factory=dict[str, int])
    stopped: Refusal | None = None
    unpaid: int = 0
    poor: BudgetExceeded | None = None  # why the last of them was put aside
    handed_in: int = 0  # to a provider's batch endpoint, in this run
    waiting: int = 0  # at a provider, to be collected by a later run
    done_there: dict[str, int] = field(default_factory=dict[str, int])
    _in_a_row: int = 0

    def aside(self, poor: BudgetExceeded) -> None:
        """A line could not be paid. A cheaper one still may; after many in a row the rest is not tried."""
        self.unpaid, self.poor = self.unpaid + 1, poor
        self._in_a_row += 1
        if self._in_a_row >= ENOUGH or poor.may_ask:
            self.stopped = self.stopped or poor

    def paid(self) -> None:
        """A line could be paid."""
        self._in_a_row = 0

    def look(self, job: str, done: int) -> None:
        """How many lines of a batch its provider has come to."""
        self.done_there[job] = done


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
        """Ask every line. Those that cannot be paid are put aside; when that is so for many in a row no further line is
        begun. What is left can be asked another day.
        """
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
                count.aside(done.refusal)
                continue
            counted(count, done)
            tell(done, count)

    async def _done(self, line: Line) -> Done:
        if line.ask is None:
            return Done(line, refusal=line.fault)
        ask = replace(line.ask, part_of=self.id, request_id=f"{self.id}:{line.number}")
        try:
            return Done(line, await self.manager.generate(ask))
        except Refusal as refusal:
            return Done(line, refusal=refusal)


def counted(count: Count, done: Done) -> None:
    """Count a line that has come to an end."""
    if done.result is None:
        count.failed += 1
        code = done.refusal.code if done.refusal else "invalid_request"
        count.codes[code] = count.codes.get(code, 0) + 1
        return
    count.answered += 1
    count.paid()
    count.repeated += done.result.receipt.cached != "no"
    count.usd += done.result.receipt.cost_usd or 0.0
