"""The process's HTTP engine, opened once by the composition root and shared by every provider.

Nothing is connected, and nothing heavy imported, before the first call. Providers with their own certificate authority
or proxy get their own pool; all others share one.
"""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from .engine import Engine


class Reply(Protocol):
    """The head of an answer, and its body on the way. Whoever gets one closes it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises ProviderError."""
        ...

    async def settle(self) -> None:
        """The answer is complete: give what remains a moment, so that the connection can be used again."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it at once."""
        ...


class Http:
    """An async context manager: `async with Http(connections=256) as http`.

    `connections` is the most that are open at once, per route; above it calls wait as long as a connect may take.
    """

    def __init__(self, *, connections: int = 1024, keepalive_s: float = 30.0) -> None:
        self._connections = connections
        self._keepalive_s = keepalive_s
        self._engines: dict[tuple[ssl.SSLContext | None, str | None], Engine] = {}
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        while self._engines:
            await self._engines.popitem()[1].aclose()

    def engine(self, tls: ssl.SSLContext | None = None, proxy: str | None = None) -> "Engine":
        """The engine for this trust store and proxy, made at its first use."""
        found = self._engines.get((tls, proxy))
        if found is None:
            if not self._open:
                raise RuntimeError("Http is not open: use it as `async with Http() as http`")
            from .engine import Engine

            found = Engine(connections=self._connections, keepalive_s=self._keepalive_s, tls=tls, proxy=proxy)
            self._engines[tls, proxy] = found
        return found
