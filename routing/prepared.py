"""What happens to an ask between replay and cache: its thread is recalled, context added, its text made safe.

A `Recall` that stands beneath replay (which goes by the caller's own arguments) and above the caches (whose key holds
what was added). Each step is one function; the first that refuses ends the ask before anything is paid.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .ports import Flight, NoRecall, Recall
from .types import Ask, Result

Step = Callable[[Ask], Awaitable[Ask]]


async def as_it_is(ask: Ask) -> Ask:
    """The step that does nothing."""
    return ask


@dataclass(frozen=True, slots=True)
class Ready:
    """A flight of the prepared ask."""

    ask: Ask
    below: Flight

    @property
    def found(self) -> Result | None:
        """What lies beneath found."""
        return self.below.found

    async def keep(self, result: Result) -> None:
        """Let what lies beneath keep it."""
        await self.below.keep(result)


class Prepared:
    """Runs the steps in their order. Raises what they raise: Refusals."""

    def __init__(self, steps: Sequence[Step], beneath: Recall | None = None) -> None:
        self._steps = tuple(steps)
        self._beneath = beneath or NoRecall()

    @asynccontextmanager
    async def flight(self, ask: Ask) -> AsyncGenerator[Flight]:
        """Prepare, then look beneath."""
        for step in self._steps:
            ask = await step(ask)
        async with self._beneath.flight(ask) as below:
            yield Ready(below.ask, below)
