"""What is handed in to one provider together: lines on their tray, and the job they become. Pure.

Lines that ask the same are one item: the first is handed in, its twins are answered by what comes of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from providers.types import Batches

from .batch import Line
from .cache.key import cacheable
from .desk import Planned
from .recall import digest

State = Literal["begun", "sending", "sent", "done", "void"]


@dataclass(frozen=True, slots=True)
class Job:
    """One batch at one provider. `name` is 64 random bits: the ids of its lines' receipts begin with it.

    `dressed` are the lines whose request was more than the line says (context, a conversation). `offset` is the file's.
    `twins` says of lines that were not handed in which other one asks the same, and is answered for both.
    """

    name: str
    deployment: str
    lines: tuple[int, ...]
    state: State
    at: float
    batch: str = ""
    dressed: tuple[int, ...] = ()
    offset: int = 0
    twins: Mapping[int, int] = field(default_factory=dict[int, int])

    @property
    def items(self) -> Sequence[int]:
        """The lines that were handed in."""
        return [number for number in self.lines if number not in self.twins]

    def receipt(self, number: int) -> str:
        """The id of a line's receipt, and of the line at the provider."""
        return f"{self.name}-{self.twins.get(number, number)}"


@dataclass(slots=True)
class Tray:
    """Lines that go to one deployment, until there are enough of them. `joins` where equal ones may have one answer."""

    batches: Batches
    joins: bool = True
    lines: list[tuple[Line, Planned, int]] = field(default_factory=list[tuple[Line, Planned, int]])
    twins: list[tuple[Line, int]] = field(default_factory=list[tuple[Line, int]])
    bytes: int = 0
    _asked: dict[str, int] = field(default_factory=dict[str, int])

    def full(self, size: int) -> bool:
        """Whether a line of this size has no place any more."""
        return len(self.lines) + len(self.twins) >= self.batches.most_items or (
            bool(self.lines) and self.bytes + size > self.batches.most_bytes
        )

    def put(self, line: Line, planned: Planned, offset: int, size: int) -> None:
        """Take it in, as an item or as the twin of one."""
        ask = planned.trip.ask
        if self.joins and cacheable(ask) and (first := self._asked.setdefault(digest(ask), line.number)) != line.number:
            self.twins.append((line, first))
            return
        self.lines.append((line, planned, offset))
        self.bytes += size
