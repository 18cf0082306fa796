"""One task and one connection that write: operations queue up and share a transaction, as in the SQLite store.

An operation is a statement that answers with one row; equal statements of a batch travel in one go. All of them are
safe to repeat, so a batch whose connection was lost is sent again: for `GRACE_S`, then whoever waits is told. What must
not be lost (settlements, receipts) is sent for as long as the process lives.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Any, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from ..faults import StoreFault
from ..pending import Pending
from .driver import Connection, is_lost, is_refused, translated
from .schema import TURNSTILE

T = TypeVar("T")
Connect = Callable[[], Awaitable[Connection]]
Outcome = tuple[Any, Exception | None]

MAX_BATCH = 512
QUIET_S = 0.5
GRACE_S = 5.0  # as long as PostgreSQL takes to come back from a crash; then the caller is refused
AWAY_S = 2.0  # once it is known to be away, callers are refused sooner
AGAIN_S = 0.1
OWED_S = 1.0  # between attempts to write what is owed, when nobody asks for anything


@dataclass(frozen=True, slots=True)
class Operation:
    """A statement, its arguments, what its row means, and who waits for it. `lasting`: it may not be lost."""

    sql: str
    arguments: tuple[Any, ...]
    read: Callable[[Any], Any]
    pending: Pending[Any] | None
    lasting: bool = False


class Writer:
    """Writes for one process. `run` is its task; everything else may be called from the same event loop at any time."""

    def __init__(self, connect: Connect) -> None:
        self.transactions = 0
        self.operations = 0
        self.fault: StoreFault | None = None
        self._connect = connect
        self._connection: Connection | None = None
        self._send, self._receive = anyio.create_memory_object_stream[Operation | None](inf)
        self._later: deque[Operation] = deque()
        self._owed: deque[Operation] = deque()
        self._closing = False
        self._ended = anyio.Event()

    def submit(
        self, sql: str, arguments: Sequence[Any], read: Callable[[Any], T], *, lasting: bool = False
    ) -> Pending[T]:
        """Queue an operation. It runs whether or not anybody waits for it."""
        pending: Pending[T] = Pending()
        try:
            self._send.send_nowait(Operation(sql, tuple(arguments), read, pending, lasting))
        except anyio.ClosedResourceError:
            pending.resolve(None, StoreFault("closed"))
        return pending

    def later(self, sql: str, arguments: Sequence[Any]) -> None:
        """Write with the next batch, or when it has been quiet for a moment: for what may be lost with the process."""
        self._later.append(Operation(sql, tuple(arguments), lambda _: None, None))
        if len(self._later) == 1 and not self._ended.is_set():
            self._send.send_nowait(None)

    async def settled(self) -> None:
        """Wait until what was put off is written; where nothing can be written there is nothing to wait for."""
        with suppress(StoreFault):
            await self.submit("SELECT NULL", (), _nothing).wait()

    async def close(self) -> None:
        """Write what is queued, then end."""
        self._closing = True
        self._send.close()
        await self._ended.wait()
        if self._connection is not None:
            with anyio.move_on_after(AWAY_S):
                await self._connection.close()
            self._drop()

    async def run(self) -> None:
        """Write until closed."""
        with self._receive as queue:
            while (first := await self._next(queue)) is not None:
                await self._write(self._gather(first, queue))
        self._ended.set()

    async def _next(self, queue: MemoryObjectReceiveStream[Operation | None]) -> list[Operation] | None:
        """What was queued next: nothing where it is quiet and something waits from before, None at the end."""
        while True:
            try:
                with anyio.move_on_after(self._quiet_s):
                    if (operation := await queue.receive()) is not None:
                        return [operation]
                    continue
            except anyio.EndOfStream:
                return [] if self._later or self._owed else None
            return []

    @property
    def _quiet_s(self) -> float | None:
        if self._later:
            return QUIET_S
        return OWED_S if self._owed else None

    def _gather(self, first: list[Operation], queue: MemoryObjectReceiveStream[Operation | None]) -> list[Operation]:
        batch = [*self._owed, *first]  # the order in which they came
        self._owed.clear()
        try:
            while len(batch) < MAX_BATCH:
                if (operation := queue.receive_nowait()) is not None:
                    batch.append(operation)
        except (anyio.WouldBlock, anyio.EndOfStream):
            pass
        while self._later and len(batch) < MAX_BATCH:
            batch.append(self._later.popleft())
        return batch

    async def _write(self, batch: list[Operation]) -> None:
        outcomes = await self._committed(batch)
        self.transactions += 1
        self.operations += len(batch)
        for operation, outcome in zip(batch, outcomes, strict=True):
            pending, owed = operation.pending, operation.lasting and _away(outcome[1]) and not self._closing
            told = pending is not None and (pending.awaited or not owed)  # who only follows hears when it is written
            if owed:
                self._owed.append(replace(operation, pending=None) if told else operation)
            if pending is not None and told:
                pending.resolve(*outcome)

    async def _committed(self, batch: list[Operation]) -> list[Outcome]:
        """The outcomes of a batch, sent again while the server is away."""
        until = anyio.current_time() + (AWAY_S if _away(self.fault) else GRACE_S)
        while True:
            try:
                with anyio.fail_after(max(until - anyio.current_time(), AGAIN_S)):
                    outcomes = await self._sent(batch)
            except Exception as error:  # noqa: BLE001 - the boundary to driver and network: the task must live
                self.fault = translated(error)
                if not is_lost(error):
                    return [(None, self.fault)] * len(batch)
                self._drop()
                if anyio.current_time() >= until:
                    return [(None, self.fault)] * len(batch)
                await anyio.sleep(AGAIN_S)
            else:
                self.fault = None
                return outcomes

    async def _sent(self, batch: list[Operation]) -> list[Outcome]:
        if self._connection is None:
            self._connection = await self._connect()
        try:
            return await _together(self._connection, batch)
        except Exception as error:
            if not is_refused(error):
                raise
            return await _one_by_one(self._connection, batch)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _nothing(row: Any) -> None:
    del row


def _away(fault: Exception | None) -> bool:
    return isinstance(fault, StoreFault) and fault.state == "unreachable"


async def _together(connection: Connection, batch: list[Operation]) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    groups: dict[str, list[int]] = {}
    for at, operation in enumerate(batch):
        groups.setdefault(operation.sql, []).append(at)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", TURNSTILE)
        for sql, places in groups.items():
            rows = await connection.fetchmany(sql, [batch[at].arguments for at in places])
            outcomes |= {at: read(batch[at], row[0]) for at, row in zip(places, rows, strict=True)}
    return [outcomes[at] for at in range(len(batch))]


async def _one_by_one(connection: Connection, batch: list[Operation]) -> list[Outcome]:
    """Each in its own savepoint: finds the one that failed the batch, and saves the others."""
    outcomes: list[Outcome] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", TURNSTILE)
        for operation in batch:
            try:
                async with connection.transaction():
                    row = await connection.fetchval(operation.sql, *operation.arguments)
                outcomes.append(read(operation, row))
            except Exception as error:
                if not is_refused(error):
                    raise
                outcomes.append((None, translated(error)))
    return outcomes


def read(operation: Operation, row: Any) -> Outcome:
    """What a row means to its operation; it may mean no."""
    try:
        return operation.read(row), None
    except Exception as error:  # noqa: BLE001 - delivered to whoever waits
        return None, error
