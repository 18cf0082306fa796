"""The ASGI application: `/mcp`, every door found in `doors/`, and the guard around them all."""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from server.house import House

from . import doors
from .carrying import Carrying
from .guard import Address, Guard, Verifier
from .protected import Protected
from .scopes import Scoped

LONGEST_BODY = 32 << 20  # bytes: a long prompt with pictures
SESSION_IDLE_S = 600.0  # an abandoned legacy session holds 37 KB until then
SESSIONS = 2_000


def application(
    house: House, server: MCPServer[House], address: Address, verifier: Verifier, *, stateless: bool = False
) -> ASGIApp:
    """Everything. `stateless`: legacy clients get no sessions (several workers, or replicas)."""
    inner = server.streamable_http_app(
        stateless_http=stateless,
        max_request_body_size=LONGEST_BODY,
        session_idle_timeout=SESSION_IDLE_S,
        max_sessions=SESSIONS,
        # The guard outside compares exactly and on every route; two rules would disagree.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    inner.router.routes.extend(found(house))
    challenge = Protected(house).challenge
    borders = Scoped(Carrying(inner), challenge)
    return Guard(RequestBodyLimitMiddleware(borders, LONGEST_BODY), address, verifier, challenge)


def found(house: House) -> Sequence[BaseRoute]:
    """The routes of every module in `server/http/doors/`, each of which has `routes(house)`."""
    modules = sorted(module.name for module in iter_modules(doors.__path__) if not module.name.startswith("_"))
    every: list[Any] = [import_module(f"{doors.__name__}.{name}").routes(house) for name in modules]
    return [route for routes in every for route in routes]
