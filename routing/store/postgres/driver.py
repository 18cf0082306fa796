"""The door to asyncpg (extra `fleet`): loaded when a server is configured, typed here as far as we use it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast

import anyio

from ..faults import State, StoreFault

CONNECT_S, COMMAND_S = 2, 5
READERS = 4
SETTINGS = {
    "search_path": "plenum",
    "application_name": "plenum",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "3s",  # a replica that is stopped in mid-transaction lets the turnstile go
}
# Of classes and states: connection, shutdown and recovery; a lock, a place or our own idle transaction timed out.
LOST = ("08", "57P", "55P03", "25P03", "53300")
Fetch = Callable[..., Awaitable[Sequence[Any]]]
STATES: dict[str, State] = {"53100": "full", "25006": "read_only", "XX001": "corrupt", "XX002": "corrupt"}


class Connection(Protocol):
    """An open connection."""

    async def execute(self, query: str, *values: Any) -> Any: ...

    async def fetchmany(self, query: str, rows: Sequence[Sequence[Any]]) -> Sequence[Any]: ...

    async def fetchrow(self, query: str, *values: Any) -> Any: ...

    async def fetchval(self, query: str, *values: Any) -> Any: ...

    def transaction(self) -> AbstractAsyncContextManager[Any]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


class Pool(Protocol):
    """A few connections that read."""

    def acquire(self, *, timeout: float) -> Awaitable[Any]: ...

    async def release(self, connection: Any, /) -> None: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


def driver() -> Any:
    """The module. Raises StoreFault where the extra is not installed."""
    try:
        import asyncpg
    except ImportError:
        raise StoreFault("unreachable", "asyncpg is missing: install plenum-mcp[fleet]") from None
    return asyncpg


async def connect(url: str) -> Connection:
    """A connection whose every command has an end."""
    opened = driver().connect(url, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=SETTINGS)
    return cast("Connection", await opened)


@asynccontextmanager
async def pool(url: str) -> AsyncGenerator[Pool]:
    """Connections for reading, made when they are needed. Leaving waits for nobody who does not answer."""
    terms = {"timeout": CONNECT_S, "command_timeout": COMMAND_S, "server_settings": SETTINGS}
    opened = cast("Pool", await driver().create_pool(url, min_size=0, max_size=READERS, **terms))
    try:
        yield opened
    finally:
        with anyio.move_on_after(CONNECT_S, shield=True):
            await opened.close()
        opened.terminate()


def is_refused(error: Exception) -> bool:
    """Whether the server, or the encoding of an argument, said no to a statement."""
    if isinstance(error, driver().PostgresError):
        return not str(getattr(error, "sqlstate", "")).startswith(LOST)
    return isinstance(error, ValueError | TypeError)


def is_lost(error: Exception) -> bool:
    """Whether the connection is the trouble. A driver that lost one may raise about anything."""
    return not isinstance(error, StoreFault) and not is_refused(error)


def translated(error: Exception) -> StoreFault:
    """The trouble as a state of ours."""
    if isinstance(error, StoreFault):
        return error
    if is_lost(error):
        return StoreFault("unreachable", f"{type(error).__name__}: {error}")
    return StoreFault(STATES.get(str(getattr(error, "sqlstate", "")), "io"), f"{type(error).__name__}: {error}")
