"""What is done now and then beside the calls: old records go, counts are written down. Called once a second."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from routing.store.archive import Retention
from routing.store.faults import StoreFault

from .config import Config
from .security.watch import Watch

EVERY_S = 300.0  # between looks at what the store holds
PIECE = 100  # records that go at a time: milliseconds, in which the calls' own writes wait
PIECES = 10  # one after another, the calls' writes between them; the rest a second later


@dataclass(slots=True)
class Chores:
    """`config` is the one in force. `clock` is monotonic, `wall` the time of day."""

    config: Callable[[], Config]
    retention: Retention
    watch: Watch
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    _due: float = 0.0

    async def __call__(self) -> None:
        """Whatever is due."""
        self.watch.settle()
        if self.clock() >= self._due:
            with suppress(StoreFault):  # a store in trouble says so where money is asked for
                if not await self._more():
                    self._due = self.clock() + EVERY_S

    async def _more(self) -> bool:
        """Keep to `[store] keep_days` and `max_mb`; whether there is more to remove."""
        table = self.config().store
        for _ in range(PIECES):
            if not await self.retention.thin(table.max_mb << 20, self.wall() - table.keep_days * 86_400, PIECE):
                return False
        return True
