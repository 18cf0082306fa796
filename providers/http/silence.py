"""How long nothing may come: one timer a call, moved by looking at the clock when it fires, not at every piece.

It ends the *reply*, never the caller's own code: time the caller takes between two deltas does not count.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from ..errors import TimedOut

T = TypeVar("T")


class Silence:
    """Calls `expire` once `idle_s` seconds passed in waiting without content, or `total_s` since it was made.

    asyncio's own timer and not a cancel scope: a scope would have to be moved, twice, at every piece.
    """

    __slots__ = ("_end", "_expire", "_loop", "_since", "_timer", "expired", "idle_s", "why")

    def __init__(self, idle_s: float, total_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.idle_s = idle_s
        self._since: float | None = self._loop.time()
        self._end = self._since + total_s
        self._expire: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False
        self.why = ""

    def watch(self, expire: Callable[[], object]) -> None:
        """Begin, or go on with another `expire`; it must wake whoever waits."""
        self._expire = expire
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline(self._loop.time()), self._look)

    async def bound(self, head: Awaitable[T]) -> T:
        """Await a head: before it came there is nothing to close, only this wait to cancel. Raises TimedOut.

        Told from a cancellation by somebody else as `asyncio.timeout` tells it, without a timer of its own.
        """
        task = cast("asyncio.Task[object]", asyncio.current_task())
        before = task.cancelling()
        self.watch(task.cancel)
        try:
            return await head
        except asyncio.CancelledError:
            if self.expired and task.uncancel() <= before:
                raise TimedOut(f"The provider did not begin to answer. {self.why}") from None
            raise

    def waiting(self) -> None:
        """The caller asks for more; waiting for content begins, unless it has begun."""
        if self._since is None:
            self._since = self._loop.time()

    def content(self) -> None:
        """Content came."""
        self._since = None

    def stop(self) -> None:
        """End watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._expire = None

    def _deadline(self, now: float) -> float:
        return min(self._end, (now if self._since is None else self._since) + self.idle_s)

    def _look(self) -> None:
        now = self._loop.time()
        if (deadline := self._deadline(now)) > now:
            self._timer = self._loop.call_at(deadline, self._look)
        elif self._expire is not None:
            self.expired = True
            whole = now >= self._end
            self.why = "The answer took too long as a whole." if whole else f"Nothing came for {self.idle_s:g} s."
            self._expire()
