"""Errors that frameworks word for programmers, said as ours: an unknown path, a method not taken, a broken legacy message."""

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MCP = "/mcp"
SERVED = (
    "/mcp, /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/models, /api/costs, /metrics, /healthz, /readyz"
)
_BROKEN = 'Invalid request: no JSON-RPC 2.0 message; send an object with "jsonrpc", "id", "method" and "params"'
_PYDANTICS = b'"message":"Validation error: '


async def missed(request: Request, fault: Exception) -> Response:
    """What the router found no door for, in the form of every other refusal."""
    assert isinstance(fault, HTTPException)
    status, headers = fault.status_code, dict(fault.headers or {})
    told = f"Nothing is served at this path. There are {SERVED}."
    if status == 405:
        told = f"This path does not take {request.method}, but {headers.get('Allow', 'other methods')}."
    error = {"message": told, "type": "invalid_request_error", "code": status}
    return JSONResponse({"error": error}, status, headers)


class Plainly:
    """Around `/mcp`: what the SDK says of a legacy client's broken message holds pydantic's text and the values sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; look at its answer only where that is a 400."""
        known = scope["type"] == "http" and scope["path"] == MCP
        await self._app(scope, receive, _Plain(send).send if known else send)


class _Plain:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 400:
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            head, message = _said(head, message)
            await self._send(head)
        await self._send(message)


def _said(head: Message, body: Message) -> tuple[Message, Message]:
    if _PYDANTICS not in body.get("body", b""):
        return head, body
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": _BROKEN}}
    text = json.dumps(error).encode()
    headers = [(name, value) for name, value in head["headers"] if name != b"content-length"]
    return {**head, "headers": [*headers, (b"content-length", str(len(text)).encode())]}, {**body, "body": text}
