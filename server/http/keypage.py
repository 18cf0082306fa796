"""A page on loopback where the person behind a host types a provider's key: it goes into the vault, past host and model.

A link opens once and sets a cookie; only that browser may send the form, from that page. Then, or after ten minutes,
nothing listens any more.
"""

import asyncio
import hmac
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from html import escape
from urllib.parse import parse_qs

import anyio
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from server.keydesk import Keep, Page

from .guard import Address

LIVES_S = 600.0
LONGEST = 16 << 10  # bytes of a form
LONGEST_KEY = 8192

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # no-referrer would make the form's own Origin `null`
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


async def serve(page: Page, listening: socket.socket, providers: Sequence[str], keep: Keep) -> None:
    """Serve the page until a key was given, its time is over, or this is cancelled."""
    config = uvicorn.Config(
        Form(page, providers, keep),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=16,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
    )
    server = _Unsignalled(config)
    serving = asyncio.ensure_future(server.serve([listening]))
    try:
        with anyio.move_on_after(LIVES_S):
            await page.given.wait()
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await serving


class _Unsignalled(uvicorn.Server):
    """Signals belong to the process around it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Form:
    """The ASGI application of one page."""

    def __init__(self, page: Page, providers: Sequence[str], keep: Keep) -> None:
        self._page, self._providers, self._keep = page, providers, keep
        self._address = Address.of("127.0.0.1", page.port)
        self._cookie = f"plenum_key_{page.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> HTMLResponse:
        if not self._address.knows_host(_only(request, "host")):
            return _say("This Host is not served here.", 421)
        if not _same(request.url.path, f"/{self._page.ticket}"):
            return _say("There is nothing here.", 404)
        if request.method == "GET":
            return self._shown(request)
        if request.method != "POST":
            return _say("Only GET and POST.", 405)
        origin = _only(request, "origin")
        if origin is None or not self._address.knows_origin(origin) or not self._knows(request):
            return _say("The form must be sent from its own page. Ask for a new link.", 403)
        try:
            return await self._sent(await _body(request))
        except ValueError as fault:
            return self._form(str(fault), 400)

    def _shown(self, request: Request) -> HTMLResponse:
        if self._page.opened and not self._knows(request):
            return _say("This link was used. Ask for a new one.", 404)
        self._page.opened = True
        response = self._form()
        response.set_cookie(self._cookie, self._page.session, httponly=True, samesite="strict", path="/")
        return response

    def _knows(self, request: Request) -> bool:
        return self._page.opened and _same(request.cookies.get(self._cookie, ""), self._page.session)

    async def _sent(self, body: bytes) -> HTMLResponse:
        fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if not _same(fields.get("form", ""), self._page.form):
            return _say("The form must be sent from its own page. Ask for a new link.", 403)
        provider, key = fields.get("provider", ""), fields.get("key", "").strip()
        if provider not in self._providers:
            raise ValueError("Choose a provider.")
        if not key or len(key) > LONGEST_KEY or not key.isprintable():
            raise ValueError("That is no key: it is empty, has several lines, or is too long.")
        if self._page.given.is_set():
            return _say("A key was stored already. You can close this page.", 409)
        await self._keep(provider, key)
        self._page.given.set()
        return _say(f"The key of {escape(provider)} is stored. You can close this page and go back.")

    def _form(self, trouble: str = "", status: int = 200) -> HTMLResponse:
        options = "".join(
            f"<option{' selected' if name == self._page.provider else ''}>{escape(name)}</option>"
            for name in self._providers
        )
        return _say(
            f"""<p>{escape(trouble)}</p><form method="post" autocomplete="off">
<label>Provider <select name="provider">{options}</select></label>
<label>Key <input name="key" type="password" required maxlength="{LONGEST_KEY}" autofocus></label>
<input type="hidden" name="form" value="{self._page.form}"><button>Store</button></form>
<p>It is encrypted on this machine and sent to this provider only. The assistant never sees it.</p>""",
            status,
        )


def _say(inner: str, status: int = 200) -> HTMLResponse:
    style = (
        "body{font:1rem system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem}label{display:block;margin:1rem 0}"
    )
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A key for Plenum</title><style>{style}</style>'
    return HTMLResponse(f"{head}<h1>A key for Plenum</h1>{inner}", status, _HEADERS)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST:
                raise ValueError("That is too long.")
    except ClientDisconnect:
        raise ValueError("The form did not arrive whole.") from None
    return bytes(body)


def _only(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    return "\0".join(found) if found else None


def _same(sent: str, known: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "replace"), known.encode())
