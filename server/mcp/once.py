"""Opens something once, when it is first needed, in a task of its own, and closes it with the server."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

import anyio
import anyio.abc

T = TypeVar("T")


class Once(Generic[T]):
    """`await once()` gives the open thing. Whoever comes first opens it; a failure is told to those who waited for it.

    What `passing` says of is given, but not kept: the next call opens anew. It must be of use after it was closed.
    """

    def __init__(
        self, opener: Callable[[], AbstractAsyncContextManager[T]], passing: Callable[[T], bool] = lambda _: False
    ) -> None:
        self._opener = opener
        self._passing = passing
        self._passed: T | None = None
        self._lock = anyio.Lock(fast_acquire=True)
        self._value: T | None = None
        self._fault: Exception | None = None
        self._closing = anyio.Event()
        self.tasks: anyio.abc.TaskGroup | None = None
        self.watchers: list[Callable[[T], object]] = []  # told when it opens, before anybody uses it

    async def __call__(self) -> T:
        """The open thing. Raises what opening it raised; the next call tries again."""
        if self._value is not None:
            return self._value
        async with self._lock:
            if self._value is None:
                assert self.tasks is not None, "enter running() in the server's lifespan"
                await self.tasks.start(self._keep)
            if self._fault is not None:
                raise self._fault
            found = self._passed if self._value is None else self._value
        assert found is not None
        return found

    @property
    def opened(self) -> T | None:
        """The open thing, if somebody has needed it yet."""
        return self._value

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[anyio.abc.TaskGroup]:
        """The group in which the thing is kept, and in which work may outlive the request that asked for it."""
        async with anyio.create_task_group() as keepers:
            self.tasks, self._closing = keepers, anyio.Event()
            try:
                async with anyio.create_task_group() as work:
                    try:
                        yield work
                    finally:
                        work.cancel_scope.cancel()  # it settles while the thing is still open
            finally:
                self._closing.set()

    async def _keep(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Enter and leave in one task, as exit stacks demand; shielded, because closing takes awaits."""
        self._fault, opened = None, False
        try:
            with anyio.CancelScope(shield=True):
                async with self._opener() as value:
                    if self._passing(value):
                        self._passed = value
                    else:
                        for watcher in self.watchers:
                            watcher(value)
                        self._value, opened = value, True
                        task_status.started()
                        await self._closing.wait()
                        self._value = None
            if not opened:
                task_status.started()
        except Exception as fault:
            if opened:
                raise
            self._fault = fault
            task_status.started()
