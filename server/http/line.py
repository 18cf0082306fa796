"""The line to a client: who works for it is told when it hangs up. A task that waits for that would cost more than a small call."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
from starlette.types import Scope

_KEY = "plenum.line"


class Line:
    """Of one connection, which answers one request at a time."""

    def __init__(self) -> None:
        self._gone = False
        self._stop: Callable[[], None] | None = None

    def carry(self, scope: Scope) -> None:
        """Let whoever answers this request find the line."""
        scope[_KEY] = self

    def hung_up(self) -> None:
        """The connection is lost."""
        self._gone = True
        if self._stop is not None:
            self._stop()

    @contextmanager
    def held(self) -> Generator[None]:
        """Cancel what is inside when the client hangs up, or has done so."""
        with anyio.CancelScope() as work:
            if self._gone:
                work.cancel()
            self._stop = work.cancel
            try:
                yield
            finally:
                self._stop = None


def line(scope: Scope) -> Line:
    """The line a request came on."""
    return scope[_KEY]
