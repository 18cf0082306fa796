"""What an experiment has shown: both arms side by side, with intervals, and whether the difference is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean

from ..store.trials import Arm, Trial
from ..types import NANO
from .statistics import Difference, interval, paired, shares, unpaired, wilson

SURE = 0.05  # below this chance a difference is called one
ARMS: tuple[Arm, Arm] = ("control", "arm")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one arm: a mean or share, with its 95 % interval, over so many asks."""

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Both arms and what lies between them; `sure` where chance is below 5 %."""

    name: str
    unit: str
    control: Figure
    arm: Figure
    difference: Difference | None

    @property
    def sure(self) -> bool:
        """Whether the difference is more than chance."""
        return self.difference is not None and self.difference.p < SURE


@dataclass(frozen=True, slots=True)
class Shown:
    """An experiment's report. `agreement` is of pairs, by how it was seen; `unpriced` asks are in no sum of money."""

    name: str
    pairs: bool
    trials: dict[str, int]
    measures: tuple[Measure, ...]
    agreement: dict[str, Figure]
    models: dict[str, dict[str, int]]
    unpriced: int
    summary: str


def shown(name: str, trials: Sequence[Trial], seed: int = 0) -> Shown:
    """Compare. Deterministic: the same rows make the same report."""
    rng = Random(seed)  # noqa: S311 - resampling, no secret
    pairs = any(trial.pair for trial in trials)
    sides: dict[Arm, list[Trial]] = {arm: [t for t in trials if t.arm == arm] for arm in ARMS}
    measures = (
        _measured("cost", "USD", trials, rng, _usd),
        _measured("latency", "s", [t for t in trials if t.ok], rng, lambda t: t.latency_s),
        _shared("contract failures", sides, lambda t: t.faults > 0),
        _shared("no answer", sides, lambda t: not t.ok),
    )
    counts: dict[str, int] = {arm: len(found) for arm, found in sides.items()}
    found = Shown(
        name,
        pairs,
        counts,
        measures,
        _agreement(trials, rng),
        {arm: _models(side) for arm, side in sides.items()},
        sum(t.nano is None for t in trials),
        "",
    )
    return replace(found, summary=summary(found))


def summary(found: Shown) -> str:
    """In a sentence or two what may be said."""
    if not all(found.trials.values()):
        return "Nothing can be compared yet: one arm has no request."
    sure = [_words(measure) for measure in found.measures if measure.sure]
    words = "; ".join(sure) if sure else "no difference that chance could not make"
    agreed = [
        f"{f.value:.0%} agreement ({basis}, {f.n})" for basis, f in found.agreement.items() if f.value is not None
    ]
    return f"The arm: {words}. " + (f"Answers: {', '.join(agreed)}." if agreed else "")


def _words(measure: Measure) -> str:
    difference, before = measure.difference, measure.control.value
    assert difference is not None, "sure of it"
    more = "more" if difference.value > 0 else "less"
    if measure.unit == "share" or not before:
        return f"{measure.name} {measure.control.value or 0:.1%} → {measure.arm.value or 0:.1%}"
    return f"{abs(difference.value) / before:.0%} {more} {measure.name}"


def _usd(trial: Trial) -> float | None:
    return None if trial.nano is None else trial.nano / NANO


def _measured(
    name: str, unit: str, trials: Sequence[Trial], rng: Random, of: Callable[[Trial], float | None]
) -> Measure:
    values = {arm: [x for t in trials if t.arm == arm and (x := of(t)) is not None] for arm in ARMS}
    return Measure(
        name,
        unit,
        _mean(values["control"], rng),
        _mean(values["arm"], rng),
        paired(_differences(trials, of), rng)
        if any(t.pair for t in trials)
        else unpaired(values["control"], values["arm"], rng),
    )


def _differences(trials: Sequence[Trial], of: Callable[[Trial], float | None]) -> list[float]:
    """Arm minus control of each pair that has both."""
    known = {(t.pair, t.arm): x for t in trials if (x := of(t)) is not None}
    return [
        x - known[pair, "control"] for (pair, arm), x in known.items() if arm == "arm" and (pair, "control") in known
    ]


def _mean(values: Sequence[float], rng: Random) -> Figure:
    if not values:
        return Figure(0, None)
    return Figure(len(values), fmean(values), *interval(values, rng))


def _shared(name: str, sides: dict[Arm, list[Trial]], of: Callable[[Trial], bool]) -> Measure:
    counts = {arm: (sum(map(of, side)), len(side)) for arm, side in sides.items()}
    return Measure(
        name, "share", _share(*counts["control"]), _share(*counts["arm"]), shares(counts["control"], counts["arm"])
    )


def _share(hits: int, of: int) -> Figure:
    return Figure(of, hits / of, *wilson(hits, of)) if of else Figure(0, None)


def _agreement(trials: Sequence[Trial], rng: Random) -> dict[str, Figure]:
    """Apart by how it was seen: an equal answer and alike wording are not one thing."""
    known = [(t.basis, t.agreement) for t in trials if t.agreement is not None]
    found: dict[str, Figure] = {}
    answers = [value for basis, value in known if basis != "text"]
    wording = [value for basis, value in known if basis == "text"]
    if answers:
        found["same answer"] = _share(round(sum(answers)), len(answers))
    if wording:
        found["alike wording"] = _mean(wording, rng)
    return found


def _models(side: Sequence[Trial]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for trial in side:
        counts[trial.model or "(none)"] = counts.get(trial.model or "(none)", 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
