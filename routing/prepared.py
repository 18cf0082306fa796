"""What happens to an ask between replay and cache: its thread is recalled, context added, its text made safe.

A `Recall` that stands beneath replay (which goes by the caller's own arguments) and above the caches (whose key holds
what was added). Each step is one function; the first that refuses ends the ask before anything is paid.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .ports import Flight, NoRecall, Recall
from .types import Ask

Step = Callable[[Ask], Awaitable[Ask]]


async def as_it_is(ask: Ask) -> Ask:
    """The step that does nothing."""
    return ask


class Prepared:
    """Runs the steps in their order. Raises what they raise: Refusals."""

    def __init__(self, steps: Sequence[Step], beneath: Recall | None = None) -> None:
        self._steps = tuple(steps)
        self._beneath = beneath or NoRecall()

    def flight(self, ask: Ask) -> "Preparing":
        """Prepare, then look beneath."""
        return Preparing(self._steps, ask, self._beneath)


class Preparing:
    """The way to a flight of the prepared ask."""

    __slots__ = ("_ask", "_below", "_beneath", "_steps")

    def __init__(self, steps: Sequence[Step], ask: Ask, beneath: Recall) -> None:
        self._steps = steps
        self._ask = ask
        self._beneath = beneath

    async def __aenter__(self) -> Flight:
        ask = self._ask
        for step in self._steps:
            ask = await step(ask)
        self._below = self._beneath.flight(ask)
        return await self._below.__aenter__()

    async def __aexit__(self, *how: Any) -> bool | None:
        return await self._below.__aexit__(*how)
