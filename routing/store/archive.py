"""Where receipts, answers and turns stay, durable before anybody sees them; and who is working on which request_id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .pending import Pending

CLAIM_S = 86_400.0  # contract §3: a request_id is kept 24 h
UNWRITTEN = 10_000  # deliveries remembered here: many more than come to pass before the next write


@dataclass(frozen=True, slots=True)
class Record:
    """One finished ask, packed (`codec`). `answer` and `turn` are None where texts are not kept.

    `key` is the digest of the caller's own arguments; `parent` the receipt this turn continues.
    """

    id: str
    caller: str
    at: float
    key: str
    body: bytes
    answer: bytes | None = None
    turn: bytes | None = None
    request_id: str | None = None
    parent: str | None = None
    delivered: bool = False


class Deliveries:
    """Whose answer was delivered, from the moment it is said: a store writes it down later, with its next write."""

    def __init__(self) -> None:
        self._reached: dict[str, None] = {}

    def note(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """It reached its caller, or did not after all."""
        self._reached.pop(id, None)
        if reached:
            self._reached[id] = None
        if len(self._reached) > UNWRITTEN:
            del self._reached[next(iter(self._reached))]

    def missing(self, record: Record | None) -> Record | None:
        """The record the store takes to be undelivered, if that is still true."""
        return None if record is None or record.id in self._reached else record


class Archive(Protocol):
    """Finished asks by id, each for its own caller only."""

    def keep(self, record: Record) -> Pending[None]:
        """Store it, and mark its request_id as done, in one step."""
        ...

    def note(self, record: Record) -> None:
        """Store it with the next write, without waiting; what stands under its id stays. For what may be lost."""
        ...

    async def read(self, id: str, caller: str) -> Record | None:  # noqa: A002
        """The record of this caller with this id: the newest, where an ask that was refused ran again."""
        ...

    async def undelivered(self, caller: str, key: str, since: float) -> Record | None:
        """The newest record with this key whose answer is not known to have reached its caller."""
        ...

    def deliver(self, id: str, *, reached: bool) -> None:  # noqa: A002
        """Note, without waiting, whether the answer reached its caller."""
        ...


class Diary(Protocol):
    """The newest asks, for who may look over all shoulders (the owner's dashboard), or of one caller."""

    async def newest(self, limit: int, caller: str | None = None) -> Sequence[Record]:
        """Newest first, without answers and turns."""
        ...


class Shredder(Protocol):
    """Forgetting: texts, receipts and claims go; the money in the ledger stays (it holds no text)."""

    def forget(self, id: str) -> Pending[int]:  # noqa: A002
        """Remove one record; how many there were."""
        ...

    def forget_before(self, at: float) -> Pending[int]:
        """Remove every record older than this; how many there were."""
        ...

    def trim(self, limit: int) -> Pending[int]:
        """Remove the oldest until no more than `limit` bytes are held; how many went."""
        ...


class Retention(Protocol):
    """Forgetting beside running calls."""

    async def thin(self, limit: int, before: float, most: int) -> int:
        """Of the oldest records some that are older than `before`, or too much for `limit` bytes; how many went.

        About `most` go where that many at once would keep others waiting. What may yet be fetched stays.
        """
        ...


Standing = Literal["mine", "running", "done", "other"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whose a request_id is: ours to work on, somebody's who lives, finished (`receipt`), or bound to other arguments."""

    standing: Standing
    receipt: str | None = None


class Claims(Protocol):
    """Who works on which request_id, over all processes and their deaths."""

    def claim(self, record: Record) -> Pending[Claimed]:
        """Take it, if it is free, older than a day, or its owner died."""
        ...

    def lead(self, caller: str, request_id: str, receipt: str) -> Pending[None]:
        """Close it with an answer that was kept before, under another ask."""
        ...

    def drop(self, caller: str, request_id: str) -> Pending[None]:
        """Give it back: the work failed, the next one may try."""
        ...

    async def lives(self, caller: str, request_id: str) -> bool | None:
        """Whether somebody works on it or finished it; False where its process died, None where nobody ever had it."""
        ...
