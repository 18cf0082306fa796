"""An operation handed to a store's writer: await it, or say what shall happen once it is durable.

A pending belongs to the event loop it was made in; the writer, in whatever thread, only ever calls `home`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")
Courier = Callable[[Callable[[], Any]], Any]


def courier() -> Courier:
    """How another thread reaches the running event loop without waiting for it. Raises RuntimeError outside of one."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe  # also known inside a callback, where anyio sees no task
    except RuntimeError:
        return cast("Any", current_token().native_token).run_sync_soon


def soon(call: Callable[[], Any]) -> None:
    """Call it in the next turn of the running event loop, which is this thread's own: nobody has to be woken."""
    try:
        asyncio.get_running_loop().call_soon(call)
    except RuntimeError:
        cast("Any", current_token().native_token).run_sync_soon(call)


class Pending(Generic[T]):
    """What an operation will come to. Its outcome is set, and its followers called, in its own event loop."""

    __slots__ = ("_done", "_error", "_followers", "_result", "_waiter", "home")

    def __init__(self) -> None:
        self.home = courier()
        self._done = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._waiter: anyio.Event | None = None
        self._followers: list[Callable[[T | None, Exception | None], None]] = []

    @property
    def awaited(self) -> bool:
        """Whether somebody stands and waits, and not only follows."""
        return self._waiter is not None

    async def wait(self) -> T:
        """The result, once it is durable. Raises what the operation raised. Cancelling the wait undoes nothing."""
        if not self._done:
            if self._waiter is None:
                self._waiter = anyio.Event()
            await self._waiter.wait()
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def then(self, follow: Callable[[T | None, Exception | None], None]) -> None:
        """Call `follow(result, error)` when it is known, at once if it is."""
        if self._done:
            follow(self._result, self._error)
        else:
            self._followers.append(follow)

    def resolve(self, result: T | None, error: Exception | None) -> None:
        """For the writer: the outcome, told in the home loop."""
        self._result, self._error, self._done = result, error, True
        if self._waiter is not None:
            self._waiter.set()
        for follow in self._followers:
            follow(result, error)
        self._followers.clear()
