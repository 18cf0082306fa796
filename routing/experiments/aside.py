"""Work beside requests, never instead of them: few at once, what finds no place in a short line is left undone."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable

import anyio

_log = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]
AT_ONCE = 4
LINE = 32


class Aside:
    """Runs what is offered, in a context of its own: nothing of the request that offered it (brought keys, spans) is there."""

    def __init__(self, at_once: int = AT_ONCE, line: int = LINE) -> None:
        self._at_once = at_once
        self._longest = line
        self._line: deque[Work] = deque()
        self._more = anyio.Event()
        self.left_out = 0

    def offer(self, work: Work) -> bool:
        """Put it in line; False where there is no place."""
        if len(self._line) >= self._longest:
            self.left_out += 1
            return False
        self._line.append(work)
        self._more.set()
        return True

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            for _ in range(self._at_once):
                tasks.start_soon(self._worker)

    async def _worker(self) -> None:
        while True:
            while not self._line:
                if self._more.is_set():
                    self._more = anyio.Event()
                await self._more.wait()
            try:
                await self._line.popleft()()
            except Exception as fault:  # noqa: BLE001 - nobody waits for it, and it must end nobody's work
                self.left_out += 1
                _log.warning("work beside the requests failed: %s", type(fault).__name__)
