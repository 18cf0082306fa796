"""What the user's feedback teaches: how right confidences were, and how good models are. Pure; marks come from the store.

Below `LEAST` marks nothing is called calibrated. Isotonic regression (guide §7: a few hundred labels give ECE .01-.04)
over the marks and, as a prior, each raw value twice at its own height.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..store.marks import Mark, Marks

LEAST = 30
PRIOR_MARKS = 2.0
Curve = tuple[tuple[float, ...], tuple[float, ...]]  # where its steps start, how high they are
PRIOR_STRENGTH = 30.0  # how many answers a catalogue's quality counts for


class Lessons(Protocol):
    """What was learned."""

    async def fresh(self) -> None:
        """Look for news, if the last look is long ago."""
        ...

    def refine(self, table: str, raw: float) -> float | None:
        """A better probability for a raw one; None where too little is known."""
        ...

    def quality(self, model: str, kind: str, prior: float) -> float:
        """Expected accuracy (0..1) of a model at a kind of task."""
        ...


class NoLessons:
    """Nobody marked anything."""

    async def fresh(self) -> None:
        """Nothing new."""

    def refine(self, table: str, raw: float) -> float | None:
        """Not better."""
        del table, raw

    def quality(self, model: str, kind: str, prior: float) -> float:
        """As the catalogue says."""
        del model, kind
        return prior


@dataclass(frozen=True, slots=True)
class Learned:
    """Lessons of some marks; make another when there are more."""

    curves: Mapping[str, Curve] = field(default_factory=dict[str, Curve])
    counts: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict[tuple[str, str], tuple[int, int]])

    def refine(self, table: str, raw: float) -> float | None:
        """The height of the curve at `raw`."""
        if table not in self.curves:
            return None
        starts, heights = self.curves[table]
        return heights[max(0, bisect_right(starts, raw) - 1)]

    def quality(self, model: str, kind: str, prior: float) -> float:
        """The catalogue's word, corrected by what was marked."""
        pairs = [self.counts.get(key, (0, 0)) for key in {(model, kind), (model, "")}]
        right, marked = (sum(column) for column in zip(*pairs, strict=True))
        return (prior * PRIOR_STRENGTH + right) / (PRIOR_STRENGTH + marked)


def learn(marks: Iterable[Mark]) -> Learned:
    """The lessons of these marks."""
    points: dict[str, list[tuple[float, bool]]] = {}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for mark in marks:
        if mark.table and mark.raw is not None:
            points.setdefault(mark.table, []).append((mark.raw, mark.right))
        wrong = mark.others if mark.right else ()  # if the answer was wrong, nobody knows who else was right
        for model, right in [*((m, mark.right) for m in mark.models), *((m, False) for m in wrong)]:
            hits, n = counts.get((model, mark.kind), (0, 0))
            counts[model, mark.kind] = hits + right, n + 1
    known = [(table, found) for table, found in points.items() if len(found) >= LEAST]
    return Learned({table: isotonic(found) for table, found in known}, counts)


def isotonic(points: Sequence[tuple[float, bool]]) -> Curve:
    """Pool adjacent violators: where each step of the curve starts, and how high it is."""
    sums: dict[float, tuple[float, float]] = {}
    for raw, right in points:
        hits, n = sums.get(raw, (PRIOR_MARKS * raw, PRIOR_MARKS))
        sums[raw] = hits + right, n + 1
    steps: list[tuple[float, float, float]] = []  # start, hits, n
    for raw in sorted(sums):
        start, (hits, n) = raw, sums[raw]
        while steps and steps[-1][1] / steps[-1][2] >= hits / n:
            start, earlier, count = steps.pop()
            hits, n = hits + earlier, n + count
        steps.append((start, hits, n))
    return tuple(start for start, _, _ in steps), tuple(hits / n for _, hits, n in steps)


class Taught:
    """Lessons of a store's marks; looks again after `every_s`, because a person marks from another process."""

    def __init__(self, marks: Marks, clock: Callable[[], float] = time.monotonic, every_s: float = 30.0) -> None:
        self._marks = marks
        self._clock = clock
        self._every_s = every_s
        self._looked: float | None = None
        self._learned = Learned()

    async def fresh(self) -> None:
        """Read all marks, at most every so often."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._every_s:
            self._looked = now
            self._learned = learn(await self._marks.all())

    def refine(self, table: str, raw: float) -> float | None:
        """As learned."""
        return self._learned.refine(table, raw)

    def quality(self, model: str, kind: str, prior: float) -> float:
        """As learned."""
        return self._learned.quality(model, kind, prior)
