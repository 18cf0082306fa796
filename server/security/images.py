"""Pictures by URL: passed on to the provider, refused, or fetched here through an address-checked door."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from anyio.to_thread import run_sync

from providers.types import Image, Part
from routing.errors import InvalidRequest, PolicyForbids
from routing.types import Ask

Fetched = tuple[str, bytes]  # media type and content
MOST = 8  # pictures by URL in one request
KINDS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


async def _fetch(url: str) -> Fetched:
    from .fetching import fetched

    return await run_sync(fetched, url, abandon_on_cancel=True)


@dataclass(frozen=True, slots=True)
class Images:
    """A step of `routing.prepared`."""

    policy: Literal["pass", "fetch", "refuse"] = "pass"
    fetch: Callable[[str], Awaitable[Fetched]] = _fetch

    async def __call__(self, ask: Ask) -> Ask:
        """The ask with its pictures as the policy wants them. Raises PolicyForbids and InvalidRequest."""
        urls = [part.url for m in ask.request.messages for part in m.parts if isinstance(part, Image) and part.url]
        if not urls or self.policy == "pass":
            return ask
        if self.policy == "refuse":
            raise PolicyForbids("Pictures by URL are not taken here.", hint="Send the picture itself as a data: URL.")
        if len(urls) > MOST:
            raise InvalidRequest(f"At most {MOST} pictures may be given by URL.", hint="Send fewer.")
        found = {url: await self.fetch(url) for url in dict.fromkeys(urls)}
        messages = tuple(replace(m, parts=tuple(_inside(p, found) for p in m.parts)) for m in ask.request.messages)
        return replace(ask, request=replace(ask.request, messages=messages))


def _inside(part: Part, found: dict[str, Fetched]) -> Part:
    if not isinstance(part, Image) or not part.url:
        return part
    media, content = found[part.url]
    return Image(media, content)


def kind(content: bytes) -> str | None:
    """The media type by the content's own beginning: what a server says of it proves nothing."""
    found = next((media for start, media in KINDS.items() if content.startswith(start)), None)
    return None if found == "image/webp" and content[8:12] != b"WEBP" else found
