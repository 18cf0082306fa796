"""An operation handed to a store's writer: await it, or say what shall happen once it is durable.

A pending belongs to the event loop it was made in; the writer, in whatever thread, only ever has `home` call.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Pending(Generic[T]):
    """What an operation will come to. Its outcome is set, and its followers called, in its own event loop.

    Raises RuntimeError outside of one.
    """

    __slots__ = ("_done", "_error", "_followers", "_result", "_waiters", "home")

    def __init__(self) -> None:
        self.home = asyncio.get_running_loop()  # also known inside a callback, where anyio sees no task
        self._done = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []  # one each: who is cancelled takes nobody along
        self._followers: list[Callable[[T | None, Exception | None], None]] = []

    @property
    def awaited(self) -> bool:
        """Whether somebody stands and waits, and not only follows."""
        return bool(self._waiters)

    async def wait(self) -> T:
        """The result, once it is durable. Raises what the operation raised. Cancelling the wait undoes nothing."""
        if not self._done:
            waiter = self.home.create_future()
            self._waiters.append(waiter)
            await waiter
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
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        for follow in self._followers:
            follow(result, error)
        self._followers.clear()
