"""Strict, bounded reading of what a provider sends: a whole document, or a refusal. Streams: `stream.py`.

Content-Type says which it is; an encoding we did not ask for is refused unopened.
"""

from collections.abc import Mapping
from email.utils import formatdate

import anyio

from ..dialects import Dialect
from ..errors import Billed, Malformed, ProviderError, ProxyRefused, TimedOut, Truncated
from .session import Reply
from .silence import Silence

MAX_BODY = 16 << 20  # bytes of a whole answer; a thousand embeddings are about 12 MiB
MAX_ERROR_BODY = 64 << 10
PROXY_WANTS = 407  # nobody but a proxy says so (RFC 9110 §15.5.8)
ERROR_BODY_S = 10.0  # a refusal is short, and its status alone says most

# What a dialect may run into on hostile values where it did not look.
SHAPE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError)


def media(headers: Mapping[str, str]) -> str:
    """The media type in lower case, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def refuse_encoding(reply: Reply) -> None:
    """Raises Malformed for a compressed answer."""
    if reply.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise Malformed("The provider compressed its answer although it was asked not to.")


async def read(reply: Reply, silence: Silence, cut: Billed) -> bytes:
    """The next piece, b"" at the end. `cut` is what the ledger must assume if the connection breaks here."""
    try:
        piece = await reply.read()
    except ProviderError as error:
        if not silence.expired:
            error.billed = cut
            raise
        piece = b""
    if silence.expired:
        raise TimedOut(silence.why)
    return piece


async def document(reply: Reply, silence: Silence, most: int = MAX_BODY) -> bytes:
    """The body of a JSON document of at most so many bytes, read to its end. Raises ProviderError."""
    refuse_encoding(reply)
    if not is_json(media(reply.headers)):
        raise Malformed("The provider's answer is not JSON by its content type.")
    declared = reply.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > most:
        raise Malformed(f"The provider announced an answer of more than {most >> 20} MiB.")
    pieces, size = list[bytes](), 0
    while piece := await read(reply, silence, "unknown"):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise Malformed(f"The provider's answer is longer than {most >> 20} MiB.")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def refusal(reply: Reply, dialect: Dialect) -> ProviderError:
    """What a status other than success means. Redirects are never followed: they would take the key elsewhere."""
    if reply.status < 400:
        return Malformed("The provider redirects elsewhere; check its base URL.", status=reply.status, billed="no")
    if reply.status == PROXY_WANTS:
        return ProxyRefused(reply.status)  # on the way to an https address `engine.py` hears it
    body = b""
    with anyio.move_on_after(ERROR_BODY_S):
        body = await _error_body(reply)
    headers = {"date": formatdate(usegmt=True), **reply.headers}  # a retry date without one counts from now
    try:
        return dialect.error(reply.status, headers, body)
    except SHAPE:
        return Malformed("The provider refused in words nobody can read.", status=reply.status, billed="no")


async def _error_body(reply: Reply) -> bytes:
    body = bytearray()
    try:
        refuse_encoding(reply)
        while len(body) < MAX_ERROR_BODY and (piece := await reply.read()):
            body += piece
    except (Malformed, Truncated):  # the status came, and is enough
        return b""
    return bytes(body[:MAX_ERROR_BODY])
