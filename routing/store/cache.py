"""Where answers worth giving again stay: rows by key, sealed so that a damaged or swapped one is noticed.

Writing never waits: a row may be lost with its process, it is only a cache. Engines: `sqlite/cache.py`, `postgres/cache.py`.
"""

import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One kept answer. `at` is seconds since the epoch; `receipt` the id it was given under; `body` is packed."""

    key: str
    caller: str
    receipt: str
    at: float
    body: bytes
    seal: bytes = b""

    def sealed(self) -> "Row":
        """The row with its seal, which binds body, owner and age to the key."""
        return Row(self.key, self.caller, self.receipt, self.at, self.body, seal(self))

    @property
    def whole(self) -> bool:
        """Whether it is as it was written."""
        return self.seal == seal(self)


def seal(row: Row) -> bytes:
    """A digest that a torn write, a flipped bit or another row's body does not have. No defence against the owner."""
    head = f"{row.key}\0{row.caller}\0{row.receipt}\0{row.at!r}\0".encode(errors="replace")
    return blake2b(head + row.body, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: rows, bytes of their bodies."""

    entries: int
    bytes: int


class Responses(Protocol):
    """Kept answers, oldest use out first."""

    async def read(self, key: str) -> Row | None:
        """The row as it stands on disk; also for the caller to check."""
        ...

    async def stamp(self, key: str) -> float | None:
        """When the row of this key was written, None if there is none: whether a copy of it still counts."""
        ...

    def keep(self, row: Row, used: Sequence[tuple[float, str]], bounds: Bounds) -> None:
        """Write it with the next batch, note when others were used, and let go what is too much."""
        ...

    def drop(self, key: str) -> None:
        """Remove it with the next batch."""
        ...


@dataclass(frozen=True, slots=True)
class Meaning:
    """Where a question's words lie for one embedder: a vector of length 1. `key` is that of its kept answer."""

    key: str
    scope: str
    embedder: str
    words: str
    vector: tuple[float, ...]


class Meanings(Protocol):
    """Meanings of kept answers; they go when the answers go."""

    async def meanings(self, scope: str, embedder: str, most: int) -> Sequence[Meaning]:
        """All of a scope, as far as they are whole."""
        ...

    def place(self, meaning: Meaning) -> None:
        """Write it with the next batch."""
        ...


def packed_meaning(meaning: Meaning) -> tuple[bytes, bytes]:
    """Words and vector (float32, in this machine's order) as stores keep them."""
    return zlib.compress(meaning.words.encode("utf-8", "replace")), array("f", meaning.vector).tobytes()


def read_meaning(names: tuple[str, str, str], words: bytes, vector: bytes) -> Meaning | None:
    """The meaning of this key, scope and embedder; None where it is damaged."""
    try:
        return Meaning(*names, zlib.decompress(words).decode(), tuple(array("f", vector)))
    except (ValueError, zlib.error):
        return None
