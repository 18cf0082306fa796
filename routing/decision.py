"""Who should serve an ask, in which order, and why: filter → tier → strategy → balance. No I/O, calls nobody.

Above: `manager.py` asks for a decision and walks it. Below: `filters.py`, `strategies/`, the balancer's turn-taking.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from providers.types import Effort

from . import strategies
from .errors import InvalidRequest
from .expectations import costs, outputs, times
from .filters import Filters, Needs, Sizes, needs
from .ports import Balancer, Directory, Measure
from .prefixes import Lean, prefix
from .settings import RoutingSettings
from .signals import Traffic
from .strategies._measures import qualities
from .tasks import Task, classify
from .types import Ask, CascadePlan, Deployment, Exclusion, Ranking, Resolution, Signals

EQUAL = 0.95  # contract §2: scores within 5 % of the best of a group are equals
REACH = 5  # candidates looked at before they are asked: an ask makes three attempts
TILT = 1.25  # what a simple ask adds to the weight of cost, a complex one to that of quality
TILTED: Mapping[str, str] = {"simple": "cost", "complex": "quality"}


Scored = tuple[Deployment, float]
Carbon = Callable[[Deployment, int, float], tuple[float, float] | None]  # by output tokens and seconds


def no_carbon(deployment: Deployment, output_tokens: int, seconds: float) -> None:
    """Grams are not known."""
    del deployment, output_tokens, seconds


class Decision(NamedTuple):
    """The candidates, best first; who is held back but returns; who is out, and why."""

    order: tuple[Deployment, ...]
    held: tuple[Exclusion, ...]
    excluded: Mapping[str, Exclusion]
    scored: tuple[Scored, ...]
    strategy: str
    reasoning: str
    task: Task
    needs: Needs
    sizes: Sizes
    warnings: tuple[str, ...] = ()
    first: tuple[Deployment, ...] = ()  # who stands for the name itself: all others are fallbacks
    names: tuple[str, ...] = ()
    plan: CascadePlan | None = None
    effort: Effort | None = None  # of an old name whose successor must be told to behave like it
    prefix: str = ""  # of the prompt, empty for a short one

    @property
    def listed(self) -> tuple[str, ...]:
        """The candidates by name."""
        return tuple([deployment.name for deployment in self.order])

    @property
    def scores(self) -> dict[str, float]:
        """What the strategy thinks of each candidate, 0..1."""
        return {deployment.name: score for deployment, score in reversed(self.scored)}

    def falls_back(self, name: str) -> bool:
        """Whether the deployment of this name is only asked because those before it could not answer."""
        return name not in [deployment.name for deployment in self.first]


class _View(NamedTuple):
    """What ordering looks at. `reach` 0: everybody is looked at, as an explanation wants."""

    needs: Needs
    sizes: Sizes
    excluded: dict[str, Exclusion]
    balancer: Balancer
    reach: int


@dataclass(frozen=True, slots=True)
class Chooser:
    """Decides. Holds no state of its own; the balancer it is given takes turns."""

    directory: Directory
    settings: RoutingSettings
    filters: Filters
    traffic: Traffic
    measure: Measure
    balancer: Balancer
    carbon: Carbon = no_carbon

    def decide(self, ask: Ask, left_s: float, spent_usd: float, balancer: Balancer | None = None) -> Decision:
        """Raises NoModel (unknown name) and InvalidRequest (unknown strategy). An empty order is a decision too."""
        found = self.directory.resolve(ask)
        strategy, rank = self._strategy(ask, found)
        task = classify(ask.request, found.kind)
        wanted = needs(ask, kind=task.kind, left_s=left_s, spent_usd=spent_usd, named=not found.auto)
        sizes = Sizes(ask.request, self.measure)
        excluded: dict[str, Exclusion] = {}
        order, scored, reason, plan = dict[str, Deployment](), list[Scored](), "", None
        key = prefix(ask.request)
        lean = Lean(balancer or self.balancer, self.traffic.prefixes.holder(key), self.traffic.outstanding)
        view = _View(wanted, sizes, excluded, lean, REACH if balancer is None else 0)
        for step in found.steps:
            if not (admitted := self.filters.admit(step, wanted, sizes, excluded)):
                continue
            signals = self._signals(admitted, task, sizes)
            ranking = rank(admitted, ask.request, signals)
            excluded.update({e.deployment.name: e for e in ranking.excluded})
            reason, plan = reason or ranking.reason, plan or ranking.plan
            ranked = _ranked(ranking, signals)
            scored += ranked
            later = {d.name: d for d in self._order(ranked, view, signals)}
            order |= {name: d for name, d in later.items() if name not in order} if order else later
        return Decision(
            order=_led(plan, order),
            held=tuple([e for e in excluded.values() if e.returns_s is not None]),
            excluded=excluded,
            scored=tuple(scored),
            strategy=strategy,
            reasoning=_words(strategy, reason, task, tuple(order)) + lean.evidence,
            task=task,
            needs=wanted,
            sizes=sizes,
            warnings=found.warnings,
            first=found.steps[0] if found.steps else (),
            names=(found.name,),
            plan=plan,
            effort=found.effort,
            prefix=key,
        )

    def _strategy(self, ask: Ask, found: Resolution) -> tuple[str, strategies.Strategy]:
        name = ask.strategy or found.strategy or self.settings.strategy
        try:
            return name, strategies.load(name)
        except KeyError:
            hint = f"use one of {', '.join(strategies.names())}"
            raise InvalidRequest(f"there is no strategy {name!r}", hint=hint) from None

    def _signals(self, admitted: Sequence[Deployment], task: Task, sizes: Sizes) -> Signals:
        weights, tilted = self.settings.weights, TILTED.get(task.complexity, "")
        if tilted in weights:
            weights = {**weights, tilted: weights[tilted] * TILT}
        traffic, card = self.traffic, admitted[0].card
        output = outputs(admitted, sizes.request)

        def grams(deployment: Deployment) -> tuple[float, float] | None:
            return self.carbon(deployment, output[0], 0.0)

        return Signals(
            latency_s=traffic.latency_s,
            ttft_s=traffic.ttft_s,
            tokens_per_s=traffic.tokens_per_s,
            success=traffic.trusted(),
            outstanding=traffic.outstanding,
            input_tokens=sizes.estimate(card),
            output_tokens=output[0],
            kind=task.kind,
            weights=weights,
            cost_usd=costs(admitted, sizes, output),
            time_s=times(admitted, traffic, output),
            grams=grams,
        )

    def _order(self, ranked: list[Scored], view: _View, signals: Signals) -> list[Deployment]:
        """Inside each tier the dominated go behind; the leading equals of the first take turns."""
        front, rest = self._front(ranked, view)
        if len(front) == 1:
            return [front[0][0], *rest]
        ordered: list[Deployment] = []
        for _, tier in groupby(front, key=lambda pair: pair[0].priority):
            members = list(tier)
            behind = dominated([d for d, _ in members], signals)
            ahead = [(d, score) for d, score in members if d.name not in behind]
            leaders = [d for d, score in ahead if score >= ahead[0][1] * EQUAL]
            turn = view.balancer.order(leaders) if len(leaders) > 1 and not ordered else leaders
            ordered += [*turn, *(d for d, _ in ahead[len(leaders) :]), *(d for d, _ in members if d.name in behind)]
        return ordered + rest

    def _front(self, ranked: list[Scored], view: _View) -> tuple[list[Scored], list[Deployment]]:
        """Those in reach, without who is held back now; and the rest, not looked at: their turn hardly ever comes."""
        front: list[Scored] = []
        for place, (deployment, score) in enumerate(ranked):
            if view.reach and len(front) >= view.reach and score < front[0][1] * EQUAL:
                return front, [d for d, _ in ranked[place:]]
            held = self.filters.held(deployment, view.needs, view.sizes)
            if held is None:
                front.append((deployment, score))
            else:
                view.excluded[deployment.name] = held
        return front, []


def _ranked(ranking: Ranking, signals: Signals) -> list[Scored]:
    """Tiers high to low; inside one by score x success rate."""
    ranked, success = list(ranking.ranked), signals.success
    if success:
        ranked = [(d, score * success.get(d.name, 1.0)) for d, score in ranked]
        ranked.sort(key=itemgetter(1), reverse=True)
    ranked.sort(key=_tier)
    return ranked


def _tier(pair: Scored) -> int:
    return -pair[0].priority


def dominated(tier: Sequence[Deployment], signals: Signals) -> set[str]:
    """Who is no better than another in quality, cost and time, and clearly (5 %) worse in one (guide §14)."""
    if len(tier) < 2:
        return set()
    cost, time = signals.cost_usd, signals.time_s
    rows = sorted(
        (-quality, cost[d.name], time[d.name], d.name)
        for quality, d in zip(qualities(tier, signals), tier, strict=True)
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


def _led(plan: CascadePlan | None, order: Mapping[str, Deployment]) -> tuple[Deployment, ...]:
    """Who decides when the cheap ones disagree is the plan's to say, pruned or not."""
    lead = {plan.strong.name: plan.strong} if plan is not None else {}
    return tuple({**lead, **order}.values())


def _words(strategy: str, reason: str, task: Task, order: Sequence[str]) -> str:
    chosen = f"{order[0]} leads {len(order)}" if order else "nobody may serve"
    looks = f"{task.complexity} task ({'; '.join(task.evidence)})"
    return f"{strategy}: {reason}; {chosen}; {looks}" if reason else f"{strategy}: {chosen}; {looks}"
