"""One request at a door of `/v1`, as plain ASGI: who calls, what was asked, the answer whole or as events.

A client that hangs up cancels the provider's call, and what it cost is settled. A stream begins with its first token;
until then every failure has its own status, after it an error event.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from providers.types import Delta
from routing.types import Ask, Result
from server.house import House, admitted
from server.http.guard import Principal
from server.http.line import line

from .bodies import Caller
from .calls import AnswerSoFar
from .completion import dumped
from .faults import Forbidden, fault

Headers = tuple[tuple[bytes, bytes], ...]
_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the tokens back
)


class Shape(Protocol):
    """How one answer is written."""

    def whole(self, result: Result) -> dict[str, Any]: ...

    def begin(self, id: str, model: str) -> bytes: ...  # noqa: A002

    def delta(self, delta: Delta, answer: AnswerSoFar) -> bytes: ...

    def end(self, result: Result) -> bytes: ...

    def broken(self, error: dict[str, Any]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is asked, and how it shall be answered."""

    ask: Ask
    stream: bool
    shape: Shape


class Door:
    """An ASGI endpoint. `read` makes an exchange of a body, or raises a Refusal."""

    def __init__(self, house: House, read: Callable[[bytes, Caller], Exchange]) -> None:
        self._house = house
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await answered(scope, receive, send, self._serve)

    async def _serve(self, body: bytes, caller: Caller, send: Send) -> None:
        exchange = self._read(body, caller)
        app = await self._house.app()
        async with admitted(app, "generate", exchange.ask.max_latency_s):
            if exchange.stream:
                await self._streamed(app, exchange, send)
                return
            result = await app.manager.generate(exchange.ask)
        self._house.answered(caller.name, result.receipt.id)
        await reply(send, 200, exchange.shape.whole(result), receipt_header(result.receipt.id))

    async def _streamed(self, app: Any, exchange: Exchange, send: Send) -> None:
        shape = exchange.shape
        async with app.manager.stream(exchange.ask) as live:
            await send(_start(200, _EVENTS + receipt_header(live.id)))
            events, so_far = [shape.begin(live.id, live.model)], partial(getattr, live, "answer")
            try:
                while came := await live.several():
                    events += [shape.delta(delta, so_far) for delta in came]
                    if told := b"".join(events):  # what came together leaves together
                        await send(_more(told))
                    events.clear()
                last = shape.end(live.result)
                self._house.answered(exchange.ask.caller, live.id)
            except Exception as error:  # noqa: BLE001 - the head is out: an event is all that can still be said
                last = shape.broken(fault(error).body)
            await send(_more(b"".join((*events, last))))
        await send({"type": "http.response.body", "body": b""})


async def answered(
    scope: Scope, receive: Receive, send: Send, serve: Callable[[bytes, Caller, Send], Awaitable[None]]
) -> None:
    """Read the body, let `serve` answer it, and cancel that when the client hangs up. Faults become answers."""
    body = await _body(receive)
    if body is None:
        return
    with line(scope):
        try:
            await serve(body, caller(scope, "generate"), send)
        except Exception as error:  # noqa: BLE001 - the boundary: a fault is an answer too
            told = fault(error)
            await reply(send, told.status, told.body, told.headers)


def caller(scope: Scope, need: str) -> Caller:
    """Who calls. Raises Forbidden where the token lacks the scope."""
    principal: Principal = scope["plenum.principal"]
    if principal.scopes and not {need, "admin"} & set(principal.scopes):
        raise Forbidden(
            f"This token lacks the scope `{need}`.",
            hint=f"Create one that has it: plenum tokens create NAME --scope {need}",
        )
    repeat = next((value for name, value in scope["headers"] if name == b"idempotency-key"), b"")
    return Caller(principal.name, repeat.decode("latin-1")[:128] or None)


def receipt_header(id: str) -> Headers:  # noqa: A002
    """Where to look the receipt up; `x-request-id` is what the official client calls it."""
    value = id.encode("ascii", "replace")
    return ((b"x-plenum-receipt", value), (b"x-request-id", value))


async def reply(send: Send, status: int, content: dict[str, Any], headers: Headers = ()) -> None:
    """A JSON document."""
    body = dumped(content)
    await send(_start(status, (_JSON, (b"content-length", str(len(body)).encode()), *headers)))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, headers: Headers) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _more(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client left in the middle of it. Its length is bounded outside."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)
