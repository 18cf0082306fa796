"""What a token may: `read` looks, `generate` also asks models, `admin` does everything. Plain ASGI, inside the guard.

Over MCP the tool's name decides, and it stands in the body: requests of tokens with scopes are read before they pass.
"""

import json
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard import Challenge, Principal, answer

ASKING = frozenset({"generate", "fuse"})
REACH = {"admin": ("admin", "generate", "read"), "generate": ("generate", "read"), "read": ("read",)}


class Scoped:
    """Answers 403 where the token's scopes do not reach; tokens without scopes may everything."""

    def __init__(self, app: ASGIApp, challenge: Challenge) -> None:
        self._app = app
        self._challenge = challenge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it pass, or refuse it."""
        principal: Principal | None = scope.get("plenum.principal")
        if scope["type"] != "http" or principal is None or not principal.scopes:
            await self._app(scope, receive, send)
            return
        needed, again = await _needed(scope, receive)
        reach = {reached for said in principal.scopes for reached in REACH.get(said, ())}
        if needed in reach:
            await self._app(scope, again, send)
            return
        said = ['error="insufficient_scope"', await self._challenge(scope, needed), 'realm="plenum"']
        challenge = f"Bearer {', '.join(filter(None, said))}"
        await answer(send, 403, f"This token may not do that; it needs the scope {needed!r}.", challenge)


async def _needed(scope: Scope, receive: Receive) -> tuple[str, Receive]:
    """The scope a request needs, and its body to be received anew."""
    if scope["path"].startswith("/v1/") and scope["method"] == "POST":
        return "generate", receive
    if scope["method"] != "POST":
        return "read", receive
    body, ended = await _body(receive)
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}] if ended else []

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return ("generate" if asks(body) else "read"), again


async def _body(receive: Receive) -> tuple[bytes, bool]:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body), False
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body), True


def asks(body: bytes) -> bool:
    """Whether a JSON-RPC body calls a tool that asks models. What cannot be read asks nothing: it is refused inside."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    calls = cast("list[Any]", found) if isinstance(found, list) else [found]
    return any(_asks(call) for call in calls)


def _asks(call: Any) -> bool:
    if not isinstance(call, dict):
        return False
    message = cast("dict[str, Any]", call)
    params = message.get("params")
    name = cast("dict[str, Any]", params).get("name") if isinstance(params, dict) else None
    return message.get("method") == "tools/call" and name in ASKING
