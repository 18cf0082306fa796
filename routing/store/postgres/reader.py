"""Reads that end: a server that does not answer in time counts as lost, and for a moment nobody waits for it again."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from ..faults import StoreFault
from .driver import CONNECT_S, Pool, is_lost, is_refused, translated

AGAIN_S = 0.5


class Reader:
    """A `Fetch` over a pool. `patience_s`: how long an answer may take, the wait for a free connection included."""

    def __init__(self, pool: Pool, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._patience_s = patience_s
        self._clock = clock
        self._again_at = 0.0

    async def __call__(self, query: str, *values: Any) -> Sequence[Any]:
        """The rows. Raises StoreFault."""
        if self._clock() < self._again_at:
            raise StoreFault("unreachable", "it did not answer a moment ago")
        try:
            with anyio.fail_after(self._patience_s):
                return await self._fetched(query, values)
        except Exception as error:  # noqa: BLE001 - the boundary to driver and network
            if is_lost(error):
                self._again_at = self._clock() + AGAIN_S
            raise translated(error) from None
        raise AssertionError("a scope that failed has raised")

    async def _fetched(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        connection = await self._pool.acquire(timeout=CONNECT_S)
        try:
            return await connection.fetch(query, *values)
        except BaseException as error:
            if not (isinstance(error, Exception) and is_refused(error)):
                connection.terminate()  # given back as it is, it would wait for a server that may be away
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._pool.release(connection)
