"""Incremental decoders of event streams and line-delimited JSON: bytes in pieces of any size in, whole events out.

Bounded, and strict where it matters: only LF, CR and CRLF end a line (U+2028, U+0085 and VT are valid inside JSON
strings), and what was not terminated when the stream ended is discarded, as the WHATWG standard says.
Not here: what the events mean (`dialects/`), their UTF-8 (the JSON parser's), how long one may wait (`http/`).
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from .errors import Billed, Malformed

MAX_EVENT = 1 << 20  # bytes of one event or line; the longest real ones carry a whole tool call or a signature
MAX_STREAM = 32 << 20  # bytes of one answer

Event = tuple[str, bytes]  # the `event:` name or "", and the data


class Decoder(Protocol):
    """Takes a stream apart. `fault` is set once it is out of bounds: what `feed` then returned came before that."""

    fault: Malformed | None

    def feed(self, piece: bytes) -> Sequence[Event]: ...


class _Blocks:
    """Cuts a stream at its last terminator so far: a big piece costs little more than a small one."""

    __slots__ = ("_after_cr", "_begun", "_buffer", "_terminator", "_total", "fault")

    def __init__(self, terminator: bytes) -> None:
        self.fault: Malformed | None = None
        self._terminator = terminator
        self._buffer = bytearray()
        self._total = 0
        self._begun = False
        self._after_cr = False

    def complete(self, piece: bytes) -> Sequence[bytes]:
        """The blocks this piece completes, without their terminators."""
        self._total += len(piece)
        if self._total > MAX_STREAM:
            self._fail(f"The provider's answer is longer than {MAX_STREAM >> 20} MiB.", billed="yes")
        if self.fault is not None:
            return ()
        if b"\r" in piece or self._after_cr:
            piece = self._line_feeds(piece)
        ready = self._up_to_last_terminator(piece)
        if len(self._buffer) > MAX_EVENT:
            self._too_long()
        if ready is not None and not self._begun:
            self._begun = True
            ready = ready.removeprefix(b"\xef\xbb\xbf")
        if not ready:
            return ()
        blocks = ready.split(self._terminator)
        return blocks if len(ready) <= MAX_EVENT else self._until_too_long(blocks)

    def _up_to_last_terminator(self, piece: bytes) -> bytes | None:
        buffer, width = self._buffer, len(self._terminator)
        if not buffer:
            end = piece.rfind(self._terminator)
            buffer += piece[end + width :] if end >= 0 else piece
            return piece[:end] if end >= 0 else None
        scanned = max(0, len(buffer) - width + 1)
        buffer += piece
        end = buffer.rfind(self._terminator, scanned)
        if end < 0:
            return None
        ready = bytes(buffer[:end])
        del buffer[: end + width]
        return ready

    def _line_feeds(self, piece: bytes) -> bytes:
        if self._after_cr and piece.startswith(b"\n"):
            piece, self._after_cr = piece[1:], False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _until_too_long(self, blocks: Sequence[bytes]) -> Sequence[bytes]:
        for index, block in enumerate(blocks):
            if len(block) > MAX_EVENT:
                self._too_long()
                return blocks[:index]
        return blocks

    def _too_long(self) -> None:
        self._fail(f"One event of the provider's answer is longer than {MAX_EVENT >> 20} MiB.", billed="unknown")

    def _fail(self, message: str, *, billed: Billed) -> None:
        self.fault = self.fault or Malformed(message, billed=billed)
        self._buffer.clear()


class Sse(_Blocks):
    """`text/event-stream` (WHATWG HTML §9.2): events with their names; comments, ids and retry hints are left out."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(b"\n\n")

    def feed(self, piece: bytes) -> Sequence[Event]:
        """The events this piece completes."""
        events: list[Event] = []
        for block in self.complete(piece):
            # what nearly every event of most providers looks like
            if len(block) > 6 and block.startswith(b"data: ") and b"\n" not in block:
                events.append(("", block[6:]))
            elif event := _event(block):
                events.append(event)
        return events


def _event(block: bytes) -> Event | None:
    name, data = b"", list[bytes]()
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    joined = b"\n".join(data)
    return (name.decode("utf-8", "replace"), joined) if joined else None  # an empty `data:` keeps a connection alive


class NdJson(_Blocks):
    """One JSON text a line (`application/x-ndjson`); empty lines are left out."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(b"\n")

    def feed(self, piece: bytes) -> Sequence[Event]:
        """The lines this piece completes, each as an event without a name."""
        return [("", line) for line in self.complete(piece) if line]


def decoder(framing: Literal["sse", "ndjson"]) -> Decoder:
    """A fresh decoder for this framing."""
    return Sse() if framing == "sse" else NdJson()
