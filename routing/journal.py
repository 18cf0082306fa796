"""Receipts and answers by id, each for its own caller only: the `Journal` of `ports.py` over the store's archive."""

from collections.abc import Sequence

from providers.types import Answer

from .store.archive import Archive, Diary
from .store.codec import unpack
from .types import Receipt


class Kept:
    """What was kept. A row that is damaged reads as absent."""

    def __init__(self, archive: Archive, diary: Diary | None = None) -> None:
        self._archive = archive
        self._diary = diary

    async def receipt(self, id: str, caller: str) -> Receipt | None:  # noqa: A002
        """The receipt of this caller's ask."""
        record = await self._archive.read(id, caller)
        return unpack(record.body, Receipt) if record is not None else None

    async def answer(self, id: str, caller: str) -> Answer | None:  # noqa: A002
        """Its answer, None too where texts are not kept."""
        record = await self._archive.read(id, caller)
        return unpack(record.answer, Answer) if record is not None and record.answer is not None else None

    def deliver(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """Whether an answer reached its caller: one that did not is replayed for ten minutes to who asks the same."""
        self._archive.deliver(id, reached=reached)

    async def newest(self, limit: int, caller: str | None = None) -> Sequence[Receipt]:
        """The newest receipts, of one caller or of all."""
        records = await self._diary.newest(limit, caller) if self._diary is not None else ()
        return [receipt for record in records if (receipt := unpack(record.body, Receipt)) is not None]
