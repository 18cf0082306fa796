"""One thread that writes: operations queue up, run inside one transaction, and are answered after its commit.

Many callers share one fsync (group commit), many processes take turns at a lock before `BEGIN IMMEDIATE` (guide
reliability-and-security §7.2, §7.3). Knows nothing of money: an operation is any function of the connection.
"""

import queue
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol, TypeVar

import apsw

from ..faults import Declined, StoreFault
from ..pending import Pending
from .connection import translate
from .database import Database
from .locks import FileLock

T = TypeVar("T")
Operation = Callable[[Database], T]
Outcome = tuple[Any, Exception | None]
Item = tuple[Operation[Any], Pending[Any] | None]  # the queue holds lists of what belongs together; None: look up

MAX_BATCH = 512  # keeps a transaction under ~50 ms, so that other processes get their turn
LATER_S = 0.5  # what may wait waits this long for company: rows of many calls then share their pages and one commit


class _Spoiled(Exception):
    """An operation broke inside a transaction that others share."""


class Draft(Protocol):
    """What operations work out in memory, between a transaction's first statement and its commit."""

    def begin(self) -> None:
        """A transaction has begun."""
        ...

    def write(self) -> None:
        """Put what is not in the transaction yet into it."""
        ...

    def clear(self) -> None:
        """What was read and changed did not come to pass."""
        ...


class Writer:
    """The only connection that writes. Operations are durable, in the order they were submitted."""

    def __init__(self, connection: Database, turnstile: FileLock, draft: Draft) -> None:
        self.transactions = 0
        self.operations = 0
        self.fault: StoreFault | None = None
        self._connection = connection
        self._turnstile = turnstile
        self._draft = draft
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._staged: list[Item] = []
        self._later: deque[Operation[Any]] = deque()
        self._due = 0.0  # when what may wait has waited long enough, monotonic seconds
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="plenum-ledger", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Pending[T]:
        """Queue an operation. It runs whether or not anybody waits for it.

        What is submitted in one turn of the event loop goes into one transaction: no kill can come between a call that is
        paid for and its answer, and the calls of a turn share a commit.
        """
        pending: Pending[T] = Pending()
        if self._closed:
            pending.resolve(None, StoreFault("closed"))
            return pending
        self._staged.append((operation, pending))
        if len(self._staged) == 1:
            pending.home.call_soon(self._flush)
        return pending

    def _flush(self) -> None:
        if self._staged:
            staged, self._staged = self._staged, []
            self._queue.put(staged)

    def later(self, operation: Operation[Any]) -> None:
        """Write within half a second, many at once: for what may be lost with the process."""
        self._later.append(operation)
        if len(self._later) == 1 and not self._closed:
            self._due = monotonic() + LATER_S
            self._queue.put(None)

    async def settled(self) -> None:
        """Wait until what was put off is written; where nothing can be written there is nothing to wait for."""
        self.hurry()
        with suppress(StoreFault):
            await self.submit(_nothing).wait()

    def hurry(self) -> None:
        """Write what may wait before whatever is submitted next."""
        self._due = 0.0

    def close(self) -> None:
        """Write what is queued, end the thread, close the connection. Blocks for at most a commit or two."""
        self._flush()
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._next()) is not None:
            with self._turnstile:  # wait first, gather after: the batches grow
                batch = self._gather(first)
                outcomes = self._commit(batch)
            self.transactions += 1
            self.operations += len(batch)
            _deliver(batch, outcomes)
        self._connection.close()

    def _next(self) -> list[Item] | None:
        """The first ones of the next batch; None once closed and nothing is left."""
        while True:
            try:
                items = self._queue.get(timeout=self._patience())
            except queue.Empty:
                if self._ripe():
                    return []
                if self._closed:
                    return None
            else:
                if items is not None:
                    return items

    def _patience(self) -> float | None:
        if self._closed:
            return 0.0
        return max(0.0, self._due - monotonic()) if self._later else None

    def _ripe(self) -> bool:
        return bool(self._later) and (self._closed or self._due <= monotonic())

    def _gather(self, first: list[Item]) -> list[Item]:
        batch: list[Item] = []
        if self._ripe():
            with suppress(IndexError):
                while len(batch) < MAX_BATCH:
                    batch.append((self._later.popleft(), None))
        batch += first
        with suppress(queue.Empty):
            while len(batch) < MAX_BATCH:
                items = self._queue.get_nowait()
                if items is not None:
                    batch += items
        return batch

    def _commit(self, batch: list[Item]) -> list[Outcome]:
        """All in one transaction. Where one breaks, all once more, each apart: it must not take its batch along."""
        try:
            return self._transaction(batch, self._trusted)
        except _Spoiled:
            return self._transaction(batch, self._apart)

    def _transaction(self, batch: list[Item], one: Callable[[Operation[Any]], Outcome]) -> list[Outcome]:
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            self._draft.begin()
            outcomes = [one(operation) for operation, _ in batch]
            one(self._write)
            run("COMMIT")
        except Exception as error:
            self._draft.clear()
            if self._connection.in_transaction:
                with suppress(apsw.Error):  # SQLite may have rolled back by itself meanwhile
                    run("ROLLBACK")
            if isinstance(error, _Spoiled):
                raise
            self.fault = translate(error)
            return [(None, self.fault)] * len(batch)
        self.fault = None
        return outcomes

    def _write(self, db: Database) -> None:
        del db
        self._draft.write()

    def _trusted(self, operation: Operation[Any]) -> Outcome:
        """One that will hardly break. Raises _Spoiled if it does."""
        before = self._connection.total_changes()
        try:
            return operation(self._connection), None
        except Declined as no:
            if self._connection.total_changes() == before:
                return None, no
            raise _Spoiled from no
        except Exception as error:
            raise _Spoiled from error

    def _apart(self, operation: Operation[Any]) -> Outcome:
        """One operation in its own savepoint."""
        run = self._connection.execute
        run("SAVEPOINT op")
        try:
            outcome: Outcome = operation(self._connection), None
            self._draft.write()
        except Exception as error:
            if not self._connection.in_transaction:  # full disk: the whole transaction is gone
                raise
            run("ROLLBACK TO op")
            self._draft.clear()
            outcome = None, translate(error) if isinstance(error, apsw.Error) else error
        run("RELEASE op")
        return outcome


def _nothing(db: Database) -> None:
    del db


def _deliver(batch: list[Item], outcomes: list[Outcome]) -> None:
    """Tell every waiting loop once, however many of its operations were in the batch."""
    homes: dict[AbstractEventLoop, list[tuple[Pending[Any], Outcome]]] = {}
    for (_, pending), outcome in zip(batch, outcomes, strict=True):
        if pending is not None:
            homes.setdefault(pending.home, []).append((pending, outcome))
    for home, answers in homes.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            home.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[Pending[Any], Outcome]]) -> None:
    for pending, (result, error) in answers:
        pending.resolve(result, error)
