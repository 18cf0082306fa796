"""The SDK's private doors we use, each for want of a public one in 2.3 (guide mcp-sdk §3). Test every upgrade."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.models import InitializationOptions
from mcp.server.runner import (
    _has_modern_envelope,  # pyright: ignore[reportPrivateUsage]
    _serve_modern_stream,  # pyright: ignore[reportPrivateUsage]
    serve_dual_era_loop,
)
from mcp.server.session import ServerSession
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCRequest


def lowlevel(server: MCPServer[Any]) -> Server[Any]:
    """The server inside: to run over our own streams, and to add handlers of legacy methods."""
    return server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class Opening(ReadStream[SessionMessage | Exception], Protocol):
    """A stream whose first message can be seen before it is read."""

    async def first(self) -> SessionMessage | Exception | None:
        """The first message, which is read again afterwards; None when there is none."""
        ...


async def served(
    core: Server[Any], read: Opening, write: WriteStream[SessionMessage], options: InitializationOptions
) -> None:
    """As `Server.run`. That relays every message through a task and a stream of its own, because the era of a client that
    opens with a notification is known late; one that opens with an enveloped request is served without.
    """
    async with core.lifespan(core) as state:
        if _opens_modern(await read.first()):
            await _serve_modern_stream(core, read, write, lifespan_state=state, raise_exceptions=False)
        else:
            await serve_dual_era_loop(core, read, write, lifespan_state=state, init_options=options)


def _opens_modern(item: SessionMessage | Exception | None) -> bool:
    first = item.message if isinstance(item, SessionMessage) else None
    return isinstance(first, JSONRPCRequest) and first.method != "initialize" and _has_modern_envelope(first.params)


def without_spans(server: MCPServer[Any]) -> None:
    """Take out the span per message: 10 to 18 % of a small call, for nothing when nobody exports."""
    kept = [layer for layer in server.middleware if type(layer).__name__ != "OpenTelemetryMiddleware"]
    server.middleware[:] = kept


def without_lookups(server: MCPServer[Any]) -> None:
    """Compare arguments with headers (`x-mcp-header`) for tools that declare some: to walk a schema costs more than the call.

    A schema that names no header is walked once.
    """
    core, plain = lowlevel(server), dict[str, Mapping[str, Any]]()
    known = core.get_tool_input_schema
    if known is None:
        return

    def schema(name: str) -> Mapping[str, Any] | None:
        found = known(name)
        if found is None or plain.get(name) is found:
            return None
        if "x-mcp-header" not in json.dumps(found):
            plain[name] = found
        return found

    core.get_tool_input_schema = schema


@lru_cache(maxsize=1_000)
def identity(name: str, scopes: tuple[str, ...]) -> AuthenticatedUser:
    """A caller as the SDK knows one: sessions, sealed state and tasks are bound to it. Nobody changes it: made once."""
    return AuthenticatedUser(AccessToken(token="", client_id=name, scopes=list(scopes), subject=name))


@contextmanager
def acting(user: AuthenticatedUser | None) -> Generator[None]:
    """Make `user` the one whom the SDK's handlers see."""
    if user is None:
        yield
        return
    token = auth_context_var.set(user)
    try:
        yield
    finally:
        auth_context_var.reset(token)


def end_listening(server: MCPServer[Any]) -> None:
    """Give every `subscriptions/listen` stream its final frame."""
    entry = lowlevel(server).get_request_handler("subscriptions/listen")
    close = getattr(entry.handler, "close", None) if entry is not None else None
    if close is not None:
        close()


def connection(session: ServerSession) -> Any:
    """The connection under a request's session: one per client, where sessions are one per request."""
    return session._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
