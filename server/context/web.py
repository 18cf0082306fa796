"""Streamable HTTP to an upstream, bounded: no redirect to elsewhere, no endless body, no event above a mebibyte.

The SDK wants httpx2, a different library than the one providers are reached by; it stays in this file.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
from mcp.client.streamable_http import streamable_http_client

from .process import Streams

LONGEST = 4 << 20  # bytes of one body
EVENT = 1 << 20  # bytes of one event of a stream
TIMEOUT = httpx2.Timeout(10, connect=5, read=60)


class Flooded(httpx2.ReadError):
    """The upstream sent more than anybody needs."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = 0
        async for chunk in self._stream:
            held += len(chunk)
            if held > LONGEST:
                raise Flooded("too long a body")
            yield chunk

    async def aclose(self) -> None:
        """Close what is beneath."""
        await self._stream.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"  # a small body must not unpack into a large one
        response = await super().handle_async_request(request)
        stream = response.stream
        events = response.headers.get("content-type", "").startswith("text/event-stream")
        if not events and isinstance(stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(stream)
        return response


@asynccontextmanager
async def web(url: str, headers: Mapping[str, str], proxy: str | None = None) -> AsyncGenerator[Streams]:
    """The upstream at this URL."""
    async with httpx2.AsyncClient(
        headers=dict(headers), transport=_Transport(proxy=proxy), timeout=TIMEOUT, trust_env=False
    ) as client:
        async with streamable_http_client(url, http_client=client, max_sse_event_size=EVENT) as (read, write):
            yield read, write  # pyright: ignore[reportReturnType] - the SDK's protocol names the same streams
