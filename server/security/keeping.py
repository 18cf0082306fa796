"""What is kept is as safe as what is sent: keys a provider echoed are taken out of an answer before it is written down."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from routing.ports import Flight, Recall
from routing.types import Ask, Result

from .redaction import Redactor
from .veil import without_keys


class Keeping:
    """A `Recall` around another."""

    def __init__(self, redactor: Redactor, beneath: Recall) -> None:
        self._redactor = redactor
        self._beneath = beneath

    @asynccontextmanager
    async def flight(self, ask: Ask) -> AsyncGenerator[Flight]:
        """The flight beneath; what it keeps is made safe."""
        async with self._beneath.flight(ask) as below:
            yield Safe(self._redactor, below)


@dataclass(frozen=True, slots=True)
class Safe:
    """A flight that keeps no key."""

    redactor: Redactor
    below: Flight

    @property
    def found(self) -> Result | None:
        """What lies beneath found."""
        return self.below.found

    @property
    def ask(self) -> Ask:
        """What lies beneath made of it."""
        return self.below.ask

    async def keep(self, result: Result) -> None:
        """Keep it without keys."""
        await self.below.keep(without_keys(self.redactor, result))
