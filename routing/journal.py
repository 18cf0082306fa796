"""Receipts and answers by id, each for its own caller only: over the store's archive."""

import time
from collections.abc import Sequence
from contextlib import suppress

from providers.types import Answer

from .refusals import Refusals
from .store.archive import Archive, Claims, Diary, Record
from .store.codec import unpack
from .store.faults import StoreFault
from .types import Reason, Receipt

STOP = "stop"


class Kept:
    """What was kept. A row that is damaged reads as absent."""

    def __init__(
        self,
        archive: Archive,
        diary: Diary | None = None,
        claims: Claims | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._archive = archive
        self._diary = diary
        self._claims = claims
        self._refusals = refusals

    async def receipt(self, id: str, caller: str) -> Receipt | None:  # noqa: A002
        """The receipt of this caller's ask; of one that was refused it says why."""
        if (record := await self._archive.read(id, caller)) is not None:
            return unpack(record.body, Receipt)
        return self._refusals.find(id, caller) if self._refusals is not None else None

    async def answer(self, id: str, caller: str) -> Answer | None:  # noqa: A002
        """Its answer, None too where texts are not kept."""
        record = await self._archive.read(id, caller)
        return unpack(record.answer, Answer) if record is not None and record.answer is not None else None

    async def begin(self, handle: str, caller: str) -> None:
        """Note that this process works on what `handle` stands for, so that others can tell when it died."""
        if self._claims is not None:
            await self._claims.claim(Record("", caller, time.time(), "", b"", request_id=handle)).wait()

    def end(self, handle: str, caller: str) -> None:
        """Note that it does so no more."""
        if self._claims is not None:
            self._claims.drop(caller, handle)

    async def lives(self, handle: str, caller: str) -> bool | None:
        """Whether some process works on it; False where that process died, None where nobody does."""
        return None if self._claims is None else await self._claims.lives(caller, handle)

    async def stop(self, handle: str, caller: str) -> None:
        """Ask whichever process works on `handle` to end it: a mark that it looks for."""
        if self._claims is not None:
            mark = Record("", caller, time.time(), STOP, b"", request_id=f"{STOP} {handle}")
            await self._claims.claim(mark).wait()

    async def stopped(self, handle: str, caller: str) -> bool:
        """Whether somebody asked for its end."""
        return self._claims is not None and await self._claims.lives(caller, f"{STOP} {handle}") is not None

    async def refuse(self, handle: str, caller: str, reason: Reason) -> None:
        """Keep why `handle` came to no answer, for whoever asks for it, in any process. A store that is lost keeps none."""
        if self._refusals is not None:
            with suppress(StoreFault):
                await self._refusals.keep(handle, caller, reason)

    def deliver(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """Whether an answer reached its caller: one that did not is replayed for ten minutes to who asks the same."""
        self._archive.deliver(id, reached=reached)

    async def newest(self, limit: int, caller: str | None = None) -> Sequence[Receipt]:
        """The newest receipts, of one caller or of all."""
        records = await self._diary.newest(limit, caller) if self._diary is not None else ()
        return [receipt for record in records if (receipt := unpack(record.body, Receipt)) is not None]
