"""The ASGI application: `/mcp`, every door found in `doors/`, and the guard around them all."""

from collections.abc import Sequence
from importlib import import_module
from inspect import isroutine
from pkgutil import iter_modules
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.house import House

from . import doors
from .bounded import Bounded
from .carrying import Carrying
from .guard import Address, Guard, Verifier
from .plainly import Plainly, missed
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
    inner.add_exception_handler(HTTPException, missed)
    borders = Scoped(Carrying(Plainly(Direct(inner))), challenge)
    return Guard(Bounded(borders, LONGEST_BODY), address, verifier, challenge)


class Direct:
    """Finds what is ASGI itself at a fixed path by that path: the router looks at one route after the other.

    Whatever the path or method does not say goes through the router and its layers. A fault that reaches uvicorn from here
    is answered and logged there as it is there.
    """

    def __init__(self, app: Starlette) -> None:
        self._app: ASGIApp = app
        routes = [route for route in app.routes if isinstance(route, Route)]
        self._known = {
            route.path: route.app
            for route in routes
            if not (isroutine(route.endpoint) or route.param_convertors) and "POST" in (route.methods or ("POST",))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        known = self._known.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (known or self._app)(scope, receive, send)


def found(house: House) -> Sequence[BaseRoute]:
    """The routes of every module in `server/http/doors/`, each of which has `routes(house)`."""
    modules = sorted(module.name for module in iter_modules(doors.__path__) if not module.name.startswith("_"))
    every: list[Any] = [import_module(f"{doors.__name__}.{name}").routes(house) for name in modules]
    return [route for routes in every for route in routes]
