"""A planned call performed on a connection: the answer in its wire's bytes at its pace, or the fault in its place."""

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from anyio.abc import SocketAttribute, SocketStream

from .http11 import LAST_CHUNK, chunk, document, start
from .model import pieces
from .script import Fault
from .stage import Plan
from .wires import Frames, Wire

Sleep = Callable[[float], Awaitable[None]]

FOREVER_S = 3600.0
_HUGE = 40  # MiB: above every bound of ours
_CODES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    402: "insufficient_quota",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    503: "overloaded_error",
    529: "overloaded_error",
}


async def perform(stream: SocketStream, wire: Wire, plan: Plan, sleep: Sleep, *, stream_it: bool) -> bool:
    """Answer one call; False when the connection is not to be used again."""
    await sleep(plan.pause_s)
    fault = plan.fault or Fault("")
    if (data := _instead(wire, fault)) is not None:
        await stream.send(data)
        return True
    if fault.name == "hang":
        await sleep(FOREVER_S)
        return False
    if fault.name == "reset":
        reset(stream)
        return False
    if fault.name == "huge":
        return await _huge(stream, wire, stream_it=stream_it)
    if stream_it:
        return await _streamed(stream, wire, plan, sleep)
    return await _whole(stream, wire, plan, sleep)


def _instead(wire: Wire, fault: Fault) -> bytes | None:
    """What is sent in place of the answer."""
    match fault.name:
        case "status":
            status = int(fault.amount)
            return document(status, wire.failure(status, _CODES.get(status, "simulated_error")))
        case "retry_after":
            return document(429, wire.failure(429, "rate_limit_exceeded"), {"retry-after": f"{fault.amount:g}"})
        case "no_choices":
            return document(200, wire.hollow())
        case "error_200":
            return document(200, wire.failure(503, "overloaded_error"))
        case "html_502":
            return document(502, b"<html><h1>502 Bad Gateway</h1></html>", media="text/html")
        case "redirect":
            return document(307, b"", {"location": "/elsewhere"})
        case _:
            return None


async def _whole(stream: SocketStream, wire: Wire, plan: Plan, sleep: Sleep) -> bool:
    answer, fault = plan.answer, plan.fault.name if plan.fault else ""
    await sleep(plan.token_s * answer.usage.output if answer.usage.output > 0 else 0)
    data = document(200, wire.whole(answer))
    if fault == "bad_utf8":
        data = data.replace(b"[simulated]", b"[simulat\xff\xfe]")
    if fault == "bad_chunk":
        data = data.replace(b"{", b"<", 1)
    if fault in ("cut_stream", "stall_stream"):
        await stream.send(data[: len(data) // 2])
        await sleep(FOREVER_S if fault == "stall_stream" else 0)
        return False
    await stream.send(data)
    return True


async def _streamed(stream: SocketStream, wire: Wire, plan: Plan, sleep: Sleep) -> bool:
    fault, parts = plan.fault.name if plan.fault else "", plan.parts()
    frames = _marred(wire.frames(plan.answer, parts), parts, fault)
    await stream.send(start(200, wire.media) + b"".join(map(chunk, frames.head)))
    if plan.token_s:
        for part, frame in zip(parts, frames.text, strict=False):
            await sleep(plan.token_s * len(pieces(part)))
            await stream.send(chunk(frame))
    elif frames.text:
        await stream.send(b"".join(map(chunk, frames.text)))
    if fault == "stall_stream":
        await sleep(FOREVER_S)
        return False
    await stream.send(b"".join(map(chunk, frames.tail)) + LAST_CHUNK)
    return True


def _marred(frames: Frames, parts: Sequence[str], fault: str) -> Frames:
    """The frames with the fault in them."""
    match fault:
        case "cut_stream" | "stall_stream":
            return replace(frames, tail=())
        case "bad_chunk":
            at = len(frames.text) // 2
            broken = [frame.replace(b"{", b"<", 1) for frame in frames.text[at : at + 1]]
            return replace(frames, text=[*frames.text[:at], *broken, *frames.text[at:]])
        case "bad_utf8":
            written = [json.dumps(part, ensure_ascii=False)[1:-1].encode() for part in parts]
            marred = [frame.replace(part, b"\xff\xfe") for frame, part in zip(frames.text, written, strict=True)]
            return replace(frames, text=marred)
        case _:
            return frames


async def _huge(stream: SocketStream, wire: Wire, *, stream_it: bool) -> bool:
    filler = b" " * (1 << 20)
    await stream.send(start(200, wire.media if stream_it else "application/json"))
    for _ in range(_HUGE):
        await stream.send(chunk(filler))
    await stream.send(LAST_CHUNK)
    return True


def reset(stream: SocketStream) -> None:
    """Close the connection with a TCP reset instead of an end."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream._transport.abort()  # type: ignore[attr-defined]  # noqa: SLF001 - `aclose` would say goodbye first
