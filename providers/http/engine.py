"""The one module that knows the HTTP client: httpx on the httpx-aiohttp transport, made safe.

What the transport does by itself and must not: lie about causes, let foreign errors through, remember cookies, hide a
limit of 100, add headers (guide setup §1, traps 1-12). It is called without `httpx.AsyncClient`, which would follow
redirects if told to, keep cookies, and write a log line with the URL, at a quarter of the CPU of a call.
Nothing here knows a dialect or a deadline on content.
"""

import ssl
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import cast

import aiohttp
import anyio
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from ..errors import Billed, ConnectFailed, Malformed, ProviderError, Truncated, Unavailable

SETTLE_S = 0.02  # the end of a chunked body follows the last event within a segment; a new TLS handshake costs more
MAX_HEAD_LINE = 64 << 10  # bytes of one header; some providers send long policies

# What happened, by cause; the first match wins, so the most specific come first.
_CAUSES: tuple[tuple[type[BaseException], type[ProviderError], Billed, str], ...] = (
    (aiohttp.SocketTimeoutError, Unavailable, "unknown", "went silent"),
    (aiohttp.ServerTimeoutError, ConnectFailed, "no", "did not accept a connection in time"),
    (aiohttp.ClientConnectorCertificateError, ConnectFailed, "no", "shows a certificate that is not trusted"),
    (aiohttp.ClientSSLError, ConnectFailed, "no", "could not agree on an encrypted connection"),
    (aiohttp.ClientHttpProxyError, ConnectFailed, "no", "is behind a proxy that refuses"),
    (aiohttp.ClientConnectorError, ConnectFailed, "no", "cannot be reached"),
    (aiohttp.ServerDisconnectedError, Unavailable, "unknown", "closed the connection before it answered"),
    (aiohttp.ClientOSError, Unavailable, "unknown", "broke the connection before it answered"),
    (aiohttp.ClientResponseError, Malformed, "unknown", "answered with something that is not HTTP"),
    (aiohttp.InvalidURL, ConnectFailed, "no", "has a base URL that cannot be called"),
    (aiohttp.NonHttpUrlClientError, ConnectFailed, "no", "has a base URL that cannot be called"),
    (aiohttp.ClientError, Unavailable, "unknown", "could not be called"),
    (httpx.UnsupportedProtocol, ConnectFailed, "no", "has a base URL that cannot be called"),
    (httpx.InvalidURL, ConnectFailed, "no", "has a base URL that cannot be called"),
    (UnicodeError, ConnectFailed, "no", "has a key or header with characters HTTP does not allow"),
    (ValueError, ConnectFailed, "no", "has a key or header with characters HTTP does not allow"),
    (OSError, Unavailable, "unknown", "could not be called"),
)


def fault(error: Exception) -> ProviderError:
    """What a failure before the head means. The transport chains the true cause below its own guess."""
    cause = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ else error
    for source, kind, billed, what in _CAUSES:
        if isinstance(cause, source):
            return kind(f"The provider {what}.", billed=billed)
    return Unavailable(f"The call failed ({type(cause).__name__}).", billed="unknown")


@cache
def trust() -> ssl.SSLContext:
    """Certifi's authorities and the system's own: what a browser on this machine would accept."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


class Transport(AiohttpTransport):
    """The transport without memory and without hidden limits. Bound to the loop of its first request."""

    def __init__(self, *, connections: int, keepalive_s: float, tls: ssl.SSLContext, proxy: str | None) -> None:
        super().__init__(verify=tls, trust_env=False, proxy=httpx.Proxy(proxy) if proxy else None)

        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=keepalive_s, ssl=tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                max_line_size=MAX_HEAD_LINE,
                max_field_size=MAX_HEAD_LINE,
                trust_env=False,
            )

        self.client = session


class Engine:
    """Sends requests. Raises ProviderError and nothing else."""

    def __init__(self, *, connections: int, keepalive_s: float, tls: ssl.SSLContext | None, proxy: str | None) -> None:
        self._transport = Transport(connections=connections, keepalive_s=keepalive_s, tls=tls or trust(), proxy=proxy)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes | None, connect_s: float
    ) -> "AiohttpReply":
        """Send and wait for the head. `connect_s` bounds the wait for a connection; nothing else is bounded here."""
        timeout = {"connect": connect_s, "pool": connect_s, "read": None}
        try:
            request = httpx.Request(method, _url(url), headers=headers, content=body, extensions={"timeout": timeout})
            response = await self._transport.handle_async_request(request)
        except Exception as error:  # noqa: BLE001 - whatever the engine throws, callers see one of ours
            raise fault(error) from None
        stream = cast("AiohttpResponseStream", response.stream)
        return AiohttpReply(stream._aiohttp_response)  # type: ignore[reportPrivateUsage]  # noqa: SLF001 - see AiohttpReply


@lru_cache(maxsize=512)
def _url(url: str) -> httpx.URL:
    """Parsed once: a provider has a handful of them, and parsing costs as much as sending."""
    return httpx.URL(url)


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
