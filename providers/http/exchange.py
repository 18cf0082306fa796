"""One request and its reply: entering sends it and waits for the head, leaving closes it, whatever happened.

Written as a class because every call passes here: a generator under `asynccontextmanager` costs four times as much.
"""

from collections.abc import Awaitable, Callable

from ..dialects import Dialect
from .reading import refusal
from .session import Reply
from .silence import Silence


class Exchange:
    """An async context manager whose value is a reply of success; every other one is refused. Raises ProviderError."""

    __slots__ = ("_dialect", "_reply", "_send", "_silence")

    def __init__(self, send: Callable[[], Awaitable[Reply]], dialect: Dialect, silence: Silence) -> None:
        self._send = send
        self._dialect = dialect
        self._silence = silence
        self._reply: Reply | None = None

    async def __aenter__(self) -> Reply:
        try:
            return await self._accepted()
        except BaseException:
            self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _accepted(self) -> Reply:
        reply = self._reply = await self._silence.bound(self._send())
        self._silence.watch(reply.close)
        if not 200 <= reply.status < 300:
            raise await refusal(reply, self._dialect)
        return reply

    def close(self) -> None:
        """Give the connection back, or cut it; no more is read."""
        self._silence.stop()
        if self._reply is not None:
            self._reply.close()
