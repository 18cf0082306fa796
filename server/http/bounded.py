"""No body is longer than is taken: by the length it says, which both readers hold a client to; one that says none is counted.

What says its length comes in as it comes. The SDK's limit reads a body to its end first, and copies it twice.
"""

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_DIGITS = 15  # of a length; longer ones are refused elsewhere


class Bounded:
    """An ASGI layer. `most` is bytes; what is longer is answered with 413."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._counted: ASGIApp = RequestBodyLimitMiddleware(app, most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        said = next((value for name, value in scope.get("headers", ()) if name == b"content-length"), b"")
        fits = said.isdigit() and len(said) <= _DIGITS and int(said) <= self._most
        await (self._app if fits else self._counted)(scope, receive, send)
