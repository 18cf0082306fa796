"""Receipts of asks that ended without an answer, for who looks one up later: an observer, off the way of every call.

They are written with the next write and nobody waits for them; until then they are known here. They have no answer, so
nothing replays or counts them; they are forgotten when answers of their age are.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from .events import Event, Failed
from .store.archive import Archive, Record
from .store.codec import pack
from .types import Reason, Receipt

A_MINUTE = 60  # kept by one process: who knocks at a closed door all day fills no disk
UNWRITTEN_S = 5.0  # known here for so long: what was forgotten in the store is not told from memory
REMEMBERED = 200


class Refusals:
    """Subscribes to the hub. `safe` takes keys out of words; `clock` is seconds since the epoch."""

    def __init__(
        self, archive: Archive, safe: Callable[[str], str] = str, clock: Callable[[], float] = time.time
    ) -> None:
        self._archive = archive
        self._safe = safe
        self._clock = clock
        self._newest: OrderedDict[tuple[str, str], tuple[Receipt, float]] = OrderedDict()
        self._minute = self._kept = 0

    def __call__(self, event: Event) -> None:
        """Keep it, if there is room."""
        if isinstance(event, Failed) and event.receipt is not None and self._room():
            record = self._remembered(event.receipt, Reason(event.code, event.message, event.hint))
            self._archive.note(record)

    async def keep(self, id: str, caller: str, reason: Reason) -> None:  # noqa: A002
        """Keep the refusal of what others may ask for by this id: durable when this returns. Raises StoreFault."""
        receipt = self.find(id, caller) or Receipt(id, caller=caller, at=self._clock())
        await self._archive.keep(self._remembered(receipt, reason)).wait()

    def find(self, id: str, caller: str) -> Receipt | None:  # noqa: A002
        """One of the newest, which may not be written yet."""
        receipt, at = self._newest.get((caller, id), (None, 0.0))
        return receipt if self._clock() - at < UNWRITTEN_S else None

    def _remembered(self, receipt: Receipt, reason: Reason) -> Record:
        told = Reason(reason.code, self._safe(reason.message), self._safe(reason.hint))
        receipt, now = replace(receipt, refusal=told), self._clock()
        self._newest[receipt.caller, receipt.id] = receipt, now
        if len(self._newest) > REMEMBERED:
            self._newest.popitem(last=False)
        # under a key of its own: it is no repetition of a question, and none is one of it
        return Record(receipt.id, receipt.caller, now, f"refused {receipt.id}", pack(receipt))

    def _room(self) -> bool:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._kept = minute, 0
        self._kept += 1
        return self._kept <= A_MINUTE
