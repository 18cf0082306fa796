"""Work that others wait for: of those who ask the same at the same time one works, the others wait for what it finds.

As long as they do, the one's own cancellation waits too; nobody waiting, it ends at once. So a call that is paid for
already is not thrown away and bought again because the first of those who want it left. By events, in this process.
"""

from collections.abc import Hashable
from copy import copy
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio

from .errors import Refusal
from .types import Result


@dataclass(slots=True, eq=False)
class Lead:
    """The part of one who works, inside. `result` is what it found, for those who wait; a refusal is shared too.

    Cancelled while others wait, it goes on to its end; the cancellation comes behind it.
    """

    name: Hashable
    key: str
    running: dict[Hashable, "Lead"]
    result: Result | None = None
    _refusal: Refusal | None = None
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _waiting: int = 0
    _ended: anyio.Event | None = None  # made by the first who waits: mostly nobody does

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self.running[self.name] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if isinstance(error, Refusal):
            self._refusal = error
        del self.running[self.name]
        if self._ended is not None:
            self._ended.set()
        return self._scope.__exit__(kind, error, trace)

    async def outcome(self) -> Result | None:
        """What it found, once it has ended; None when it gave up. Raises the refusal it ended with.

        Whoever is cancelled here leaves alone; the last one takes the shelter along.
        """
        self._ended = self._ended or anyio.Event()
        self._count(1)
        try:
            await self._ended.wait()
        finally:
            self._count(-1)
        if self.result is None and self._refusal is not None:
            raise copy(self._refusal)
        return self.result

    def _count(self, change: int) -> None:
        self._waiting += change
        if self._ended is not None and not self._ended.is_set():
            self._scope.shield = self._waiting > 0


class SingleFlight:
    """Leads of this process by name."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Lead] = {}

    def running(self, name: Hashable) -> Lead | None:
        """Who works on it now."""
        return self._running.get(name)

    def lead(self, name: Hashable, key: str = "") -> Lead:
        """Work inside, while nobody else does. `key` is what was asked, where the name alone does not say it."""
        return Lead(name, key, self._running)
