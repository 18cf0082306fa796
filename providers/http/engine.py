"""The one module that knows the HTTP client: httpx on the httpx-aiohttp transport, made safe.

What the transport does by itself and must not: lie about causes, let foreign errors through, remember cookies, hide a
limit of 100, add headers (guide setup §1, traps 1-12). It is called without `httpx.AsyncClient`, which would follow
redirects if told to, keep cookies, and write a log line with the URL, at a quarter of the CPU of a call.
Nothing here knows a dialect or a deadline on content.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import aiohttp
import anyio
import httpx
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from ..errors import Billed, ConnectFailed, Malformed, ProviderError, ProxyRefused, Truncated, Unavailable

SETTLE_S = 0.02  # the end of a chunked body follows the last event within a segment; a new TLS handshake costs more
MAX_HEAD_LINE = 64 << 10  # bytes of one header; some providers send long policies

# What happened, by cause; the first match wins, so the most specific come first.
_CAUSES: tuple[tuple[type[BaseException], type[ProviderError], Billed, str], ...] = (
    (aiohttp.SocketTimeoutError, Unavailable, "unknown", "went silent"),
    (aiohttp.ServerTimeoutError, ConnectFailed, "no", "did not accept a connection in time"),
    (aiohttp.ClientConnectorCertificateError, ConnectFailed, "no", "shows a certificate that is not trusted"),
    (aiohttp.ClientSSLError, ConnectFailed, "no", "could not agree on an encrypted connection"),
    (aiohttp.ClientProxyConnectionError, ConnectFailed, "no", "is behind a proxy that cannot be reached"),
    (aiohttp.ClientConnectorError, ConnectFailed, "no", "cannot be reached"),
    (aiohttp.ServerDisconnectedError, Unavailable, "unknown", "closed the connection before it answered"),
    (aiohttp.ClientOSError, Unavailable, "unknown", "broke the connection before it answered"),
    (aiohttp.ClientResponseError, Malformed, "unknown", "answered with something that is not HTTP"),
    (aiohttp.InvalidURL, ConnectFailed, "no", "has a base URL that cannot be called"),
    (aiohttp.NonHttpUrlClientError, ConnectFailed, "no", "has a base URL that cannot be called"),
    (aiohttp.ClientError, Unavailable, "unknown", "could not be called"),
    (httpx.InvalidURL, ConnectFailed, "no", "has a base URL that cannot be called"),
    (UnicodeError, ConnectFailed, "no", "has a key or header with characters HTTP does not allow"),
    (ValueError, ConnectFailed, "no", "has a key or header with characters HTTP does not allow"),
    (OSError, Unavailable, "unknown", "could not be called"),
)


def fault(error: Exception) -> ProviderError:
    """What a failure before the head means."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ProxyRefused(error.status)
    for source, kind, billed, what in _CAUSES:
        if isinstance(error, source):
            return kind(f"The provider {what}.", billed=billed)
    return Unavailable(f"The call failed ({type(error).__name__}).", billed="unknown")


@cache
def trust() -> ssl.SSLContext:
    """Certifi's authorities and the system's own: what a browser on this machine would accept."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


@dataclass(frozen=True, slots=True)
class Form:
    """All of a request but its body, in the words of the transport's session: the same for call after call."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)  # the key is among them
    timeout: aiohttp.ClientTimeout


class Unhindered(ResponseHandler):
    """Our side of a connection: not told to go on before it was ever told to wait.

    aiohttp tells it so at every piece it hands out, and each time the parser runs on nothing: once for each event.
    That it waits *now* would be the wrong question: a parser stopped at the end of a segment stops again in the next,
    when the connection has gone on, and only being told so at every piece wakes it.
    """

    _waited = False

    def pause_reading(self) -> None:
        self._waited = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        if self._waited:
            super().resume_reading(resume_parser)


class Connector(aiohttp.TCPConnector):
    """Makes `Unhindered` ones. aiohttp has no public door for that (3.14): a test sees whether it still happens."""

    def __init__(self, connections: int, keepalive_s: float, tls: ssl.SSLContext) -> None:
        super().__init__(limit=connections, keepalive_timeout=keepalive_s, ssl=tls)  # pyright: ignore[reportUnknownMemberType] - aiohttp leaves a tuple open
        self._factory = partial(Unhindered, loop=asyncio.get_running_loop())


class Transport(AiohttpTransport):
    """The transport without memory and without hidden limits. Bound to the loop of its first request.

    `known_as` says to its proxy who we are.
    """

    def __init__(self, *, connections: int, keepalive_s: float, tls: ssl.SSLContext, proxy: str | None) -> None:
        through = httpx.Proxy(proxy) if proxy else None
        super().__init__(verify=tls, trust_env=False, proxy=through)

        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=Connector(connections, keepalive_s, tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                max_line_size=MAX_HEAD_LINE,
                max_field_size=MAX_HEAD_LINE,
                auto_decompress=False,
                trust_env=False,
            )

        self.client = session
        self.known_as = dict[str, str]()
        self._proxy: dict[str, Any] = {}
        if through is not None:
            if through.auth:
                secret = b64encode(":".join(through.auth).encode()).decode()
                self.known_as = {"Proxy-Authorization": f"Basic {secret}"}
            self._proxy = {"proxy": str(through.url), "proxy_headers": {**through.headers, **self.known_as}}

    async def send(self, form: Form, body: bytes | None) -> aiohttp.ClientResponse:
        """As `handle_async_request` does it, without an `httpx.Response` whose stream would be unwrapped at once."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        return await self.client.request(
            form.method,
            form.url,
            headers=form.headers,
            data=body or None,
            timeout=form.timeout,
            allow_redirects=False,
            **self._proxy,
        )


class Engine:
    """Sends requests. Raises ProviderError and nothing else."""

    def __init__(self, *, connections: int, keepalive_s: float, tls: ssl.SSLContext | None, proxy: str | None) -> None:
        self._transport = Transport(connections=connections, keepalive_s=keepalive_s, tls=tls or trust(), proxy=proxy)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def form(self, method: str, url: str, headers: Mapping[str, str], connect_s: float) -> Form:
        """Prepare requests, which costs as much as sending one. `connect_s` bounds the wait for a connection."""
        try:
            target, head = str(httpx.URL(url)), dict(httpx.Headers(headers))
            if target.startswith("http:"):  # the proxy reads the request itself, there is no CONNECT
                head |= self._transport.known_as
        except Exception as error:  # noqa: BLE001 - whatever the engine throws, callers see one of ours
            raise fault(error) from None
        # aiohttp's `connect` covers the wait for a place in the pool too; nothing else is bounded here
        return Form(method, target, head, aiohttp.ClientTimeout(connect=connect_s, sock_connect=connect_s))

    async def send(self, form: Form, body: bytes | None) -> "AiohttpReply":
        """Send and wait for the head."""
        try:
            return AiohttpReply(await self._transport.send(form, body))
        except Exception as error:  # noqa: BLE001 - whatever the engine throws, callers see one of ours
            raise fault(error) from None


class AiohttpReply:
    """An answer's head and body, read straight from the engine's buffer: one await a segment, not one for each layer."""

    __slots__ = ("_body", "_raw", "headers", "status")

    def __init__(self, raw: aiohttp.ClientResponse) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw.raw_headers
        }
        self._raw = raw
        self._body = raw.content

    async def read(self) -> bytes:
        try:
            return await self._body.readany()
        except (aiohttp.ClientError, OSError, ValueError):
            raise Truncated("The connection broke in the middle of the answer.") from None

    async def settle(self) -> None:
        if not self._body.at_eof():
            with anyio.move_on_after(SETTLE_S):
                while await self.read():
                    pass

    def close(self) -> None:
        self._raw.close()
