"""The line to a client: who works for it is told when it hangs up. A task that waits for that would cost more than a small call."""

from typing import Any

import anyio
from starlette.types import Scope

_KEY = "plenum.line"


class Line:
    """Of one connection, which answers one request at a time."""

    def __init__(self) -> None:
        self._gone = False
        self._work: anyio.CancelScope | None = None

    def carry(self, scope: Scope) -> None:
        """Let whoever answers this request find the line."""
        scope[_KEY] = self

    def hung_up(self) -> None:
        """The connection is lost."""
        self._gone = True
        if self._work is not None:
            self._work.cancel()

    def __enter__(self) -> None:
        """Cancel what is inside when the client hangs up, or has done so."""
        self._work = anyio.CancelScope()
        self._work.__enter__()
        if self._gone:
            self._work.cancel()

    def __exit__(self, *how: Any) -> bool:
        work, self._work = self._work, None
        assert work is not None, "entered"
        return work.__exit__(*how)


def line(scope: Scope) -> Line:
    """The line a request came on."""
    return scope[_KEY]
