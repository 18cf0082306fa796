"""JSON-RPC over lines, without I/O: bytes in, messages or faults out (guide reliability-and-security §9.1).

The SDK's reader is silent on what it cannot read, takes a request with a broken id for a notification and executes
invalid UTF-8. Here every line is a message or a fault that says which id it answers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)
from pydantic import ValidationError
from pydantic_core import from_json

from . import scrub

LONGEST = 8 << 20  # bytes of one line
Message = JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError
Id = str | int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line. `id` is None where the line does not say which request it is."""

    code: int
    message: str
    id: Id | None = None


class Lines:
    """Cuts a byte stream into lines. A line above the cap is never held: None stands for it."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._held = 0
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that `data` ends, blank ones left out."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            yield from self._end(end)
        self._hold(rest)

    def close(self) -> Iterator[bytes | None]:
        """What stood after the last newline."""
        yield from self._end(b"")

    def _end(self, last: bytes) -> Iterator[bytes | None]:
        self._hold(last)
        line = b"".join(self._parts)
        skipped, self._skipping = self._skipping, False
        self._parts, self._held = [], 0
        if skipped:
            yield None
        elif line.strip():
            yield line

    def _hold(self, part: bytes) -> None:
        if self._skipping or not part:
            return
        self._held += len(part)
        if self._held > self._longest:
            self._skipping, self._parts = True, []
        else:
            self._parts.append(part)


def decode(line: bytes | None) -> Message | Fault:
    """One line as a message, or what is wrong with it."""
    if line is None:
        return Fault(INVALID_REQUEST, f"Invalid request: a message may have {LONGEST >> 20} MiB")
    try:
        frame = from_json(line, allow_inf_nan=False)
    except ValueError:
        try:
            frame = _lenient(line)
        except (ValueError, RecursionError):
            return Fault(PARSE_ERROR, "Parse error: the line is not JSON in UTF-8")
    if not isinstance(frame, dict):
        return Fault(INVALID_REQUEST, "Invalid request: a message is one JSON object; batches are not part of MCP")
    return _message(cast("dict[str, Any]", frame))


def _lenient(line: bytes) -> Any:
    """JSON whose only fault is a lone surrogate (JavaScript cuts strings inside a pair): its caller waits for an answer."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return scrub.tree(json.loads(line.decode(), parse_constant=refuse))


def _message(frame: dict[str, Any]) -> Message | Fault:
    given = frame.get("id")
    known = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    if frame.get("jsonrpc") != "2.0":
        return Fault(INVALID_REQUEST, 'Invalid request: "jsonrpc" must be "2.0"', known)
    if "id" in frame and known is None and "error" not in frame:
        return Fault(INVALID_REQUEST, 'Invalid request: "id" must be a string or an integer')
    if "method" in frame:
        return _call(frame, known)
    try:
        return (JSONRPCResponse if "result" in frame else JSONRPCError).model_validate(frame)
    except ValidationError:
        return Fault(INVALID_REQUEST, "Invalid request: neither a request nor a response", known)


def _call(frame: dict[str, Any], known: Id | None) -> Message | Fault:
    method, params = frame["method"], frame.get("params")
    if not isinstance(method, str):
        return Fault(INVALID_REQUEST, 'Invalid request: "method" must be a string', known)
    if params is not None and not isinstance(params, dict):
        return Fault(INVALID_REQUEST, 'Invalid request: "params" must be an object', known)
    # The checks above are the models' own; validating again would cost a fifth of a small call.
    if known is None:
        return JSONRPCNotification.model_construct(jsonrpc="2.0", method=method, params=params)
    return JSONRPCRequest.model_construct(jsonrpc="2.0", id=known, method=method, params=params)


def encode(message: Message) -> bytes:
    """A message as one line. Lone surrogates become U+FFFD."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except ValueError:
        frame = scrub.tree(message.model_dump(by_alias=True, exclude_unset=True))
        return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
