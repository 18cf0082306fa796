"""What the user's feedback teaches: how right confidences were, and how good models are. Pure; marks come from the store.

Below `LEAST` marks nothing is called calibrated. Isotonic regression (guide §7: a few hundred labels give ECE .01-.04)
over the marks and, as a prior, each raw value twice at its own height.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .answers import Table

LEAST = 30
PRIOR_MARKS = 2.0
Curve = tuple[tuple[float, ...], tuple[float, ...]]  # where its steps start, how high they are
PRIOR_STRENGTH = 30.0  # how many answers a catalogue's quality counts for


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer a person marked. `raw` is the table's confidence, None for a single model's answer.

    `models` are names across providers whose answer was the marked one; `others` said something else.
    """

    id: str
    caller: str
    at: float
    right: bool
    kind: str  # of task: the key into ModelCard.quality
    table: Table | None = None
    raw: float | None = None
    models: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Lessons(Protocol):
    """What was learned."""

    def refine(self, table: Table, raw: float) -> float | None:
        """A better probability for a raw one; None where too little is known."""
        ...

    def quality(self, model: str, kind: str, prior: float) -> float:
        """Expected accuracy (0..1) of a model at a kind of task."""
        ...


class NoLessons:
    """Nobody marked anything."""

    def refine(self, table: Table, raw: float) -> float | None:
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

    def refine(self, table: Table, raw: float) -> float | None:
        """The height of the curve at `raw`."""
        if table not in self.curves:
            return None
        starts, heights = self.curves[table]
        return heights[max(0, bisect_right(starts, raw) - 1)]

    def quality(self, model: str, kind: str, prior: float) -> float:
        """The catalogue's word, corrected by what was marked."""
        right, marked = self.counts.get((model, kind), (0, 0))
        return (prior * PRIOR_STRENGTH + right) / (PRIOR_STRENGTH + marked)


def learn(marks: Iterable[Mark]) -> Learned:
    """The lessons of these marks."""
    points: dict[Table, list[tuple[float, bool]]] = {}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for mark in marks:
        if mark.table is not None and mark.raw is not None:
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
