"""Answers by their key: in memory, behind it the store of this user, behind that the shelf of a fleet.

What comes back from outside this process is checked: its seal, its owner, its age. A hit writes nothing that waits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from providers.types import Answer

from ..store.cache import Bounds, Responses, Row
from ..store.codec import joined, pack, unpack
from ..store.faults import StoreFault
from ..store.shared import SharedLost, Shelf
from ..types import Receipt, Result
from .front import Entry, Front

TOUCHES = 256  # uses noted at once with the next write; further ones are noted with the one after


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """`[cache]`. Seconds, rows, bytes; `texts` False keeps nothing readable anywhere but in memory."""

    enabled: bool = True
    ttl_s: float = 3600.0
    entries: int = 10_000
    bytes: int = 256 << 20
    texts: bool = True


class Exact:
    """What was answered before, by key. `clock` is seconds since the epoch."""

    def __init__(
        self,
        store: Responses | None = None,
        shelf: Shelf | None = None,
        *,
        settings: CacheSettings = CacheSettings(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock
        self._front = Front(Bounds(settings.entries, settings.bytes))
        self._unwritten: dict[str, float] = {}  # written behind: not on disk for a moment, and still true
        self._used: dict[str, float] = {}
        self.adopt(settings)

    def adopt(self, settings: CacheSettings) -> None:
        """Go by other settings from now on."""
        self._settings = settings
        self._front.bounds = Bounds(settings.entries, settings.bytes)

    async def look(self, key: str, caller: str) -> Result | None:
        """The answer kept under this key for this caller, if it is whole and not too old."""
        entry = self._front.get(key)
        if entry is not None and not await self._stands(key, entry):
            self._front.drop(key)
            entry = None
        if entry is None:
            entry = await self._stored(key) or await self._shelved(key)
            if entry is not None:
                self._front.put(key, entry)
            else:
                entry = self._front.get(key)  # a twin may have kept it while the store was asked
        if entry is None or entry.caller != caller:
            return None
        if not 0 <= self._clock() - entry.at + 1.0 <= self._settings.ttl_s + 1.0:  # a second for clocks that differ
            self._front.drop(key)
            return None
        if self._store is not None and len(self._used) < TOUCHES:
            self._used[key] = self._clock()
        return entry.result

    async def keep(self, key: str, result: Result) -> None:
        """Keep it under this key, for the receipt's caller."""
        now = self._clock()
        row = Row(key, result.receipt.caller, result.receipt.id, now, packed(result)).sealed()
        self._front.put(key, Entry(Result(result.answer, result.receipt), row.caller, now, len(row.body)))
        if not self._settings.texts:
            return
        if self._store is not None:
            self._write(row)
        if self._shelf is not None:
            try:
                await self._shelf.put(f"answer {key}", pack_row(row), self._settings.ttl_s)
            except SharedLost:
                return  # one replica knows it, the others ask again

    def forget(self, key: str) -> None:
        """Let the key lead nowhere from now on."""
        self._front.drop(key)
        if self._store is not None:
            self._store.drop(key)

    def _write(self, row: Row) -> None:
        assert self._store is not None
        used = [(at, key) for key, at in self._used.items()]
        self._used.clear()
        self._unwritten.pop(row.key, None)
        self._unwritten[row.key] = row.at  # oldest first: what is surely on disk by now is at the front
        while self._unwritten[oldest := next(iter(self._unwritten))] <= row.at - 5.0:
            del self._unwritten[oldest]
        self._store.keep(row, used, Bounds(self._settings.entries, self._settings.bytes))

    async def _stands(self, key: str, entry: Entry) -> bool:
        """Whether no other process, and no `plenum forget`, has removed or replaced it meanwhile."""
        if self._store is None or not self._settings.texts:
            return True
        try:
            stamp = await self._store.stamp(key)
        except StoreFault:
            return True  # nobody can tell: what is in memory was whole
        if stamp is None and self._shelf is not None:
            return True  # from another replica, whose disk is not ours
        return stamp == entry.at or (stamp is None and self._unwritten.get(key) == entry.at and self._young(entry))

    def _young(self, entry: Entry) -> bool:
        return self._clock() - entry.at < 5.0

    async def _stored(self, key: str) -> Entry | None:
        if self._store is None or not self._settings.texts:
            return None
        try:
            row = await self._store.read(key)
        except StoreFault:
            return None
        if row is None:
            return None
        entry = _entry(row)
        if entry is None:
            self.forget(key)
        return entry

    async def _shelved(self, key: str) -> Entry | None:
        if self._shelf is None or not self._settings.texts:
            return None
        try:
            data = await self._shelf.get(f"answer {key}")
        except SharedLost:
            return None
        row = unpack_row(data, key) if data is not None else None
        return _entry(row) if row is not None else None


def packed(result: Result) -> bytes:
    """Answer and receipt, without what only the first call has to tell."""
    receipt = result.receipt
    if receipt.excluded or receipt.candidates:
        receipt = replace(receipt, excluded=(), excluded_count=0, candidates=())
    bytes_of = result.packed or pack
    return joined(bytes_of(result.answer), bytes_of(receipt))


def unpacked(body: bytes) -> Result | None:
    """What was packed; None for anything else."""
    match cast("Any", unpack(body, tuple)):
        case (Answer() as answer, Receipt() as receipt):
            return Result(answer, receipt)
        case _:
            return None


def pack_row(row: Row) -> bytes:
    """A row as one value, for stores that know only values."""
    return pack((row.caller, row.receipt, row.at, row.body, row.seal))


def unpack_row(data: bytes, key: str) -> Row | None:
    """The row of this key; None for what is none."""
    match cast("Any", unpack(data, tuple)):
        case (str(caller), str(receipt), float(at), bytes(body), bytes(mark)):
            return Row(key, caller, receipt, at, body, mark)
        case _:
            return None


def _entry(row: Row) -> Entry | None:
    """The row, if it is as it was written."""
    result = unpacked(row.body) if row.whole else None
    if result is None or result.receipt.caller != row.caller:
        return None
    return Entry(result, row.caller, row.at, len(row.body))
