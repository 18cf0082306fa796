"""What happened, provably: an append-only chain in which every line's hash covers the one before it.

A line holds names, never a key or a text of a prompt. The head's hash, kept elsewhere, proves everything before it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .pending import Pending

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened: when (seconds since the epoch), through whom, what, to what, and details."""

    at: float
    who: str
    what: str
    subject: str
    detail: str = ""  # a JSON object, or empty


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A happening in its place."""

    number: int
    happening: Happening
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain holds: `broken` is the first line that does not (0: none), `head` the last line's hash."""

    lines: int
    head: bytes
    broken: int = 0
    why: str = ""


class Audit(Protocol):
    """The log. Engines number the lines without gaps, over all processes."""

    def append(self, happening: Happening) -> Pending[int]:
        """Add a line; its number, once it is durable."""
        ...

    def later(self, happening: Happening) -> None:
        """Add a line with the next write, without waiting."""
        ...

    async def lines(self, since: int = 0, limit: int = 100) -> Sequence[AuditLine]:
        """The newest `limit` lines with a number above `since`, oldest first."""
        ...

    async def verify(self) -> Verdict:
        """Walk the whole chain."""
        ...


def chained(before: bytes, number: int, happening: Happening) -> bytes:
    """The hash of a line: SHA-256 over the one before, the number, and every field."""
    h = happening
    told = json.dumps([number, h.at, h.who, h.what, h.subject, h.detail], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + told.encode("utf-8", "surrogatepass")).digest()


def judged(lines: Iterable[AuditLine], head: bytes | None) -> Verdict:
    """Walk lines from the first; `head` is the hash the log itself says it ends with."""
    before, count = GENESIS, 0
    for line in lines:
        count += 1
        if line.number != count:
            return Verdict(count - 1, before, count, f"line {count} is missing")
        if chained(before, count, line.happening) != line.hash:
            return Verdict(count - 1, before, count, f"line {count} was changed")
        before = line.hash
    if head is not None and head != before:
        return Verdict(count, before, count + 1, f"lines after {count} were removed")
    return Verdict(count, before)
