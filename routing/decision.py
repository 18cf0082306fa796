"""Who should serve an ask, in which order, and why: filter → tier → strategy → balance. No I/O, calls nobody.

Above: `manager.py` asks for a decision and walks it. Below: `filters.py`, `strategies/`, the balancer's turn-taking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from . import strategies
from .errors import InvalidRequest
from .filters import Filters, Needs, Sizes, needs
from .ports import Balancer, Directory, Measure
from .settings import RoutingSettings
from .signals import Traffic
from .strategies._measures import costs, qualities, times
from .tasks import Task, classify
from .types import Ask, CascadePlan, Deployment, Exclusion, Ranking, Resolution, Signals

EQUAL = 0.95  # contract §2: scores within 5 % of the best of a group are equals
TILT = 1.25  # what a simple ask adds to the weight of cost, a complex one to that of quality


@dataclass(frozen=True, slots=True)
class Decision:
    """The candidates, best first; who is held back but returns; who is out, and why."""

    order: tuple[Deployment, ...]
    held: tuple[Exclusion, ...]
    excluded: Mapping[str, Exclusion]
    scores: Mapping[str, float]
    strategy: str
    reasoning: str
    task: Task
    needs: Needs
    sizes: Sizes
    warnings: tuple[str, ...] = ()
    step: Mapping[str, int] = field(default_factory=dict[str, int])
    names: tuple[str, ...] = ()
    plan: CascadePlan | None = None


@dataclass(frozen=True, slots=True)
class Chooser:
    """Decides. Holds no state of its own; the balancer it is given takes turns."""

    directory: Directory
    settings: RoutingSettings
    filters: Filters
    traffic: Traffic
    measure: Measure
    balancer: Balancer

    def decide(self, ask: Ask, left_s: float, spent_usd: float, balancer: Balancer | None = None) -> Decision:
        """Raises NoModel (unknown name) and InvalidRequest (unknown strategy). An empty order is a decision too."""
        found = self.directory.resolve(ask)
        strategy, rank = self._strategy(ask, found)
        task = classify(ask.request, found.kind)
        wanted = needs(ask, kind=task.kind, left_s=left_s, spent_usd=spent_usd, named=not found.auto)
        sizes = Sizes(ask.request, self.measure)
        excluded: dict[str, Exclusion] = {}
        order: dict[str, Deployment] = {}
        scores: dict[str, float] = {}
        step_of: dict[str, int] = {}
        reason, plan = "", None
        for number, step in enumerate(found.steps):
            admitted = self._admit((d for d in step if d.name not in step_of), wanted, sizes, excluded)
            step_of.update(dict.fromkeys((d.name for d in step if d.name not in step_of), number))
            if not admitted:
                continue
            signals = self._signals(admitted, task, sizes)
            ranking = rank(admitted, ask.request, signals)
            excluded.update((e.deployment.name, e) for e in ranking.excluded)
            reason, plan = reason or ranking.reason, plan or ranking.plan
            ordered, scored = self._order(ranking, ask, signals, balancer or self.balancer)
            scores.update(scored)
            order.update((d.name, d) for d in ordered)
        held = tuple(e for e in excluded.values() if e.returns_s is not None)
        return Decision(
            order=tuple(order.values()),
            held=held,
            excluded=excluded,
            scores=scores,
            strategy=strategy,
            reasoning=_words(strategy, reason, task, tuple(order)),
            task=task,
            needs=wanted,
            sizes=sizes,
            warnings=found.warnings,
            step=step_of,
            names=(found.name,),
            plan=plan,
        )

    def _strategy(self, ask: Ask, found: Resolution) -> tuple[str, strategies.Strategy]:
        name = ask.strategy or found.strategy or self.settings.strategy
        try:
            return name, strategies.load(name)
        except KeyError:
            hint = f"use one of {', '.join(strategies.names())}"
            raise InvalidRequest(f"there is no strategy {name!r}", hint=hint) from None

    def _admit(
        self, step: Iterable[Deployment], wanted: Needs, sizes: Sizes, excluded: dict[str, Exclusion]
    ) -> list[Deployment]:
        admitted: list[Deployment] = []
        exclusion = self.filters.exclusion
        for deployment in step:
            found = exclusion(deployment, wanted, sizes)
            if found is None:
                admitted.append(deployment)
            else:
                excluded[deployment.name] = found
        return admitted

    def _signals(self, admitted: Sequence[Deployment], task: Task, sizes: Sizes) -> Signals:
        weights = dict(self.settings.weights)
        tilted = {"simple": "cost", "complex": "quality"}.get(task.complexity)
        if tilted in weights:
            weights[tilted] *= TILT
        tokens = sizes.estimate(admitted[0].card)
        return self.traffic.signals(sizes=(tokens, 0), kind=task.kind, weights=weights)

    def _order(
        self, ranking: Ranking, ask: Ask, signals: Signals, balancer: Balancer
    ) -> tuple[list[Deployment], dict[str, float]]:
        """Tiers high to low; inside one by score x success rate, the dominated behind; the leading equals take turns."""
        success = signals.success
        ranked = [(d, score * success.get(d.name, 1.0)) for d, score in ranking.ranked]
        ranked.sort(key=lambda pair: (-pair[0].priority, -pair[1]))
        ordered: list[Deployment] = []
        for _, tier in groupby(ranked, key=lambda pair: pair[0].priority):
            members = list(tier)
            behind = dominated([d for d, _ in members], ask, signals)
            front = [(d, score) for d, score in members if d.name not in behind]
            leaders = [d for d, score in front if score >= front[0][1] * EQUAL]
            turn = balancer.order(leaders) if len(leaders) > 1 and not ordered else leaders
            ordered += [*turn, *(d for d, _ in front[len(leaders) :]), *(d for d, _ in members if d.name in behind)]
        return ordered, {d.name: score for d, score in ranked}


def dominated(tier: Sequence[Deployment], ask: Ask, signals: Signals) -> set[str]:
    """Who is no better than another in quality, cost and time, and clearly (5 %) worse in one (guide §14)."""
    if len(tier) < 2:
        return set()
    rows = sorted(
        zip(
            [-quality for quality in qualities(tier, signals)],
            costs(tier, ask.request, signals),
            times(tier, ask.request, signals),
            [d.name for d in tier],
            strict=True,
        )
    )
    frontier: list[tuple[float, float, float]] = []
    out: set[str] = set()
    for quality, cost, seconds, name in rows:
        if any(_beats(other, (quality, cost, seconds)) for other in frontier):
            out.add(name)
        else:
            frontier.append((quality, cost, seconds))
    return out


def _beats(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    if one[0] > other[0] or one[1] > other[1] or one[2] > other[2]:
        return False
    clearly_better = one[0] < other[0] * EQUAL if other[0] > 0 else one[0] * EQUAL < other[0]
    return clearly_better or one[1] < other[1] * EQUAL or one[2] < other[2] * EQUAL


def _words(strategy: str, reason: str, task: Task, order: Sequence[str]) -> str:
    chosen = f"{order[0]} leads {len(order)}" if order else "nobody may serve"
    looks = f"{task.complexity} task ({'; '.join(task.evidence)})"
    return f"{strategy}: {reason}; {chosen}; {looks}" if reason else f"{strategy}: {chosen}; {looks}"
