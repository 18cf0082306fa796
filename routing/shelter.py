"""Work that others wait for: as long as they do, its own cancellation waits too. Nobody waiting, it ends at once.

So a call that is paid for already is not thrown away and bought again because the first of those who want it left.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Shelter:
    """One piece of work. Who does it works inside `working` and calls `end` when all is done; the others `wait`."""

    _ended: anyio.Event = field(default_factory=anyio.Event)
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _waiting: int = 0

    @contextmanager
    def working(self) -> Generator[None]:
        """Work inside. Cancelled while others wait, it goes on to its end; the cancellation comes behind it."""
        with self._scope:
            yield

    def end(self) -> None:
        """Let those who wait look at what came of it. Nothing may be awaited between leaving `working` and this."""
        self._ended.set()

    async def wait(self) -> None:
        """Until it has ended. Whoever is cancelled here leaves alone; the last one takes the shelter along."""
        self._count(1)
        try:
            await self._ended.wait()
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._waiting += change
        if not self._ended.is_set():
            self._scope.shield = self._waiting > 0
