"""What is handed in to one provider together: lines on their tray, and the job they become.

Lines that ask the same are one item: the first is handed in, its twins are answered by what comes of it – those of later
hand-ins and later runs too. Above: `deferred.py`.
"""

import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from providers.types import Batches

from .batch import Line
from .cache.key import cacheable
from .desk import Planned
from .recall import digest
from .seen import Questions
from .types import Ask

HELD = 10_000  # twins of what is handed in already, before they are put on record
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

    def asks(self, number: int) -> bool:
        """Whether this line was handed in."""
        place = bisect_left(self.lines, number)
        return place < len(self.lines) and self.lines[place] == number and number not in self.twins

    def joined(self, more: "Joined") -> "Job":
        """With the lines that came later."""
        offset = more.offset if min(more.joins) < self.lines[0] else self.offset
        lines = tuple(sorted({*self.lines, *more.joins}))
        return replace(self, lines=lines, twins={**self.twins, **more.joins}, offset=offset)


@dataclass(frozen=True, slots=True)
class Joined:
    """Lines that ask what a line of the job `name` asks, found when it was handed in. The first begins at `offset`."""

    name: str
    joins: Mapping[int, int]
    offset: int


class Log(Protocol):
    """What was done, on disk before the next step."""

    def open(self) -> Sequence[Job]:
        """Jobs that are neither done nor void."""
        ...

    def note(self, job: Job) -> None:
        """A job's new state."""
        ...

    def join(self, joined: Joined) -> None:
        """More lines of a job that is open."""
        ...


@dataclass(slots=True)
class Tray:
    """Lines that go to one deployment, until there are enough of them. `name` will be the job's."""

    batches: Batches
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    lines: list[tuple[Line, Planned, int]] = field(default_factory=list[tuple[Line, Planned, int]])
    twins: dict[int, int] = field(default_factory=dict[int, int])
    bytes: int = 0

    def full(self, size: int) -> bool:
        """Whether a line of this size has no place any more."""
        return len(self.lines) + len(self.twins) >= self.batches.most_items or (
            bool(self.lines) and self.bytes + size > self.batches.most_bytes
        )

    def put(self, line: Line, planned: Planned, offset: int, size: int) -> None:
        """Take it in."""
        self.lines.append((line, planned, offset))
        self.bytes += size

    def begun(self, at: float) -> Job:
        """The job of its lines, before any of them is paid."""
        deployment, (*_, offset) = self.lines[0][1].hop.deployment.name, self.lines[0]
        return Job(self.name, deployment, tuple(line.number for line, *_ in self.lines), "begun", at, offset=offset)

    def sending(self, job: Job, paid: Sequence[tuple[Line, Planned]], at: float) -> Job:
        """The job of those lines that could be paid, and of their twins."""
        items = {line.number for line, _ in paid}
        twins = {number: first for number, first in self.twins.items() if first in items}
        lines = tuple(sorted([*items, *twins]))
        offset = next((offset for line, _, offset in self.lines if line.number in items), job.offset)
        dressed = tuple(line.number for line, planned in paid if _dressed(planned.trip.ask))
        state: State = "sending" if paid else "void"
        return replace(job, lines=lines, twins=twins, dressed=dressed, state=state, at=at, offset=offset)


@dataclass(slots=True)
class Trays:
    """What one run hands in: the open trays by deployment, and who asks what, there and at the providers."""

    log: Log
    joins: bool
    open: dict[str, Tray] = field(default_factory=dict[str, Tray])
    _sent: dict[str, Job] = field(default_factory=dict[str, Job])
    _asked: Questions = field(default_factory=Questions)
    _late: dict[str, tuple[int, dict[int, int]]] = field(default_factory=dict[str, tuple[int, dict[int, int]]])
    _held: int = 0

    def lead(self, line: Line, job: str) -> None:
        """Whoever asks the same from now on has this line's answer."""
        if self.joins and line.ask is not None and cacheable(line.ask):
            self._asked.put(digest(line.ask), line.number, job)

    def joined(self, line: Line, offset: int) -> bool:
        """Whether an equal line lies on a tray or is handed in: then this one has its answer, and nothing is to be done."""
        if not self.joins or line.ask is None or not cacheable(line.ask):
            return False
        job, first = self._asked.find(digest(line.ask)) or ("", 0)
        for tray in self.open.values():
            if tray.name == job:
                tray.twins[line.number] = first
                return True
        if job not in self._sent or not self._sent[job].asks(first):
            return False
        _, late = self._late.setdefault(job, (offset, {}))
        late[line.number] = first
        self._held += 1
        if self._held >= HELD:
            self.note()
        return True

    def sent(self) -> None:
        """Look up what is at the providers now."""
        self._sent = {job.name: job for job in self.log.open() if job.state == "sent"}

    def note(self) -> None:
        """Put on record which lines wait for an answer of an earlier hand-in. Those of a cut run are found again."""
        for job, (offset, joins) in self._late.items():
            self.log.join(Joined(job, joins, offset))
        self._late, self._held = {}, 0


def _dressed(ask: Ask) -> bool:
    return bool(ask.context) or ask.history > 0
