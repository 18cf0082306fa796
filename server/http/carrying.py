"""Keys brought with a request, put where the providers' doors find them, for that request alone. Inside the guard."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.security import brought
from server.security.carried import carried

from .guard import answer


class Carrying:
    """Reads `X-Plenum-Key: provider=key`; only behind the guard, so only for callers who are known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its keys at hand and out of its headers."""
        if scope["type"] != "http" or "plenum.principal" not in scope:
            await self._app(scope, receive, send)
            return
        name = brought.HEADER.encode()
        values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
        if not values and not carried.get():
            await self._app(scope, receive, send)
            return
        try:
            keys = brought.read(values)
        except ValueError:
            await answer(send, 400, "X-Plenum-Key takes one `provider=key` each.")
            return
        scope["headers"] = [(key, value) for key, value in scope["headers"] if key != name]
        token = carried.set(keys)
        try:
            await self._app(scope, receive, send)
        finally:
            carried.reset(token)
