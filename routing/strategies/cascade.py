"""Two cheap ones of different families first; the strong one only where they disagree.

Measured on recorded answers (guide fusion-and-routing §10): the accuracy of the best single model at about half its cost. A
ranking with a plan: `routing/fusion/cascading.py` carries it out. Where answers cannot be compared it is plain `cost`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from providers.types import Request

from ..fusion.answers import load
from ..fusion.infer import Wanted, spec
from ..types import CascadePlan, Deployment, Ranking, Signals
from ._measures import of, qualities, ranking
from .cost import rank as cheapest_first

CHEAP = 0.35  # of the strong one's cost: dearer ones would eat the saving (guide §10)
NOISE = 0.02  # qualities at one kind of task closer than this are told apart by overall quality
SAME_MISTAKE = 0.5  # how often two that are both wrong are wrong alike (guide §9: .15 to .63)
WORTH = 0.1  # accuracy that a saving of the whole cost of the strong one is worth
LOOKED_AT = 10  # of the cheap ones, best first: 45 pairs


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """The strong one leads, the rest by quality; the plan names who is asked before it."""
    if not comparable(request):
        found = cheapest_first(deployments, request, signals)
        return Ranking(found.ranked, "answers of this kind cannot be compared: the cheapest first", found.excluded)
    quality = dict(zip((d.name for d in deployments), qualities(deployments, signals), strict=True))
    cost = dict(zip((d.name for d in deployments), of(deployments, signals.cost_usd), strict=True))
    strong = _strong(deployments, quality, cost)
    # the strong one stands apart, so that equals taking turns do not replace it
    scores = [1.0 if d is strong else quality[d.name] * 0.9 for d in deployments]
    pair = _pair(deployments, strong, quality, cost)
    if pair is None:
        return ranking(deployments, scores, "no two cheap ones of different families: the strong one")
    reason = f"{pair[0].name} and {pair[1].name} if they agree, else {strong.name}"
    return replace(ranking(deployments, scores, reason), plan=CascadePlan(pair, strong))


def comparable(request: Request) -> bool:
    """Whether two answers to this can be the same."""
    if request.tools or not request.messages:
        return False
    wanted = spec(request.messages[-1].text, Wanted(schema=request.schema))
    return load(wanted.kind).closed


def _strong(deployments: Sequence[Deployment], quality: Mapping[str, float], cost: Mapping[str, float]) -> Deployment:
    least = max(quality.values()) - NOISE
    able = [d for d in deployments if quality[d.name] >= least]
    return min(able, key=lambda d: (-d.card.quality.get("default", 0.5), cost[d.name]))


def _pair(
    deployments: Sequence[Deployment], strong: Deployment, quality: Mapping[str, float], cost: Mapping[str, float]
) -> tuple[Deployment, Deployment] | None:
    """The two of different families with which the cascade promises most, the better one first."""
    dear = cost[strong.name]
    cheap = [d for d in deployments if d is not strong and cost[d.name] <= CHEAP * dear]
    cheap = sorted(cheap, key=lambda d: -quality[d.name])[:LOOKED_AT]

    def promise(pair: tuple[Deployment, Deployment]) -> float:
        one, other = (quality[d.name] for d in pair)
        right, wrong = one * other, SAME_MISTAKE * (1 - one) * (1 - other)
        escalated = 1 - right - wrong
        spent = escalated + sum(cost[d.name] for d in pair) / dear
        return right + escalated * quality[strong.name] - WORTH * spent

    pairs = [pair for pair in combinations(cheap, 2) if _kin(pair[0]) != _kin(pair[1])]
    return max(pairs, key=promise, default=None) if dear > 0 else None


def _kin(deployment: Deployment) -> str:
    return deployment.card.family or deployment.provider
