"""What is kept is as safe as what is sent: keys a provider echoed are taken out of an answer before it is written down."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from routing.ports import Flight, Recall
from routing.types import Ask, Result

from .redaction import Redactor
from .veil import without_keys


class Keeping:
    """A `Recall` around another."""

    def __init__(self, redactor: Redactor, beneath: Recall) -> None:
        self._redactor = redactor
        self._beneath = beneath

    def flight(self, ask: Ask) -> "Safe":
        """The flight beneath; what it keeps is made safe."""
        return Safe(self._redactor, self._beneath.flight(ask))


class Safe:
    """A flight that keeps no key, the context manager and the flight in one."""

    __slots__ = ("_below", "_redactor", "_way")

    def __init__(self, redactor: Redactor, way: AbstractAsyncContextManager[Flight]) -> None:
        self._redactor = redactor
        self._way = way

    async def __aenter__(self) -> Flight:
        self._below = await self._way.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> bool | None:
        return await self._way.__aexit__(*how)

    @property
    def found(self) -> Result | None:
        """What lies beneath found."""
        return self._below.found

    @property
    def ask(self) -> Ask:
        """What lies beneath made of it."""
        return self._below.ask

    async def keep(self, result: Result) -> None:
        """Keep it without keys."""
        await self._below.keep(without_keys(self._redactor, result))
