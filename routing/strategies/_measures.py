"""What strategies weigh: expected cost, quality, expected time, each for all candidates at once. Pure."""

import math
from collections.abc import Sequence

from providers.types import Request

from ..envelope import cost_usd, expected_output
from ..types import Deployment, Ranking, Signals

SPAN = 2.0  # decades of price from the cheapest (1) to where dearer makes no more difference (0)


def costs(deployments: Sequence[Deployment], request: Request, signals: Signals) -> list[float]:
    """Expected USD of each; a deployment without a price counts as the dearest (unknown is not free)."""
    found = [
        None if d.price is None else cost_usd(d.price, signals.input_tokens, expected_output(request, d.card))
        for d in deployments
    ]
    dearest = max((cost for cost in found if cost is not None), default=0.0)
    return [dearest if cost is None else cost for cost in found]


def qualities(deployments: Sequence[Deployment], signals: Signals) -> list[float]:
    """Quality 0..1 at this kind of task, as the card says."""
    kind = signals.kind
    return [_quality(d, kind) for d in deployments]


def times(deployments: Sequence[Deployment], request: Request, signals: Signals) -> list[float]:
    """Expected seconds of each; one never asked counts as the mean of the others, so it is neither shunned nor sought."""
    found = [_time(d, request, signals) for d in deployments]
    known = [seconds for seconds in found if seconds is not None]
    mean = sum(known) / len(known) if known else 1.0
    return [mean if seconds is None else seconds for seconds in found]


def inverse(values: Sequence[float]) -> list[float]:
    """Least / value: the least scores 1, twice as much 0.5. Zeros score 1 and count as a tenth of the least other."""
    positive = [value for value in values if value > 0]
    floor = min(positive, default=1.0) / (10 if len(positive) < len(values) else 1)
    return [1.0 if value <= 0 else floor / value for value in values]


def decades(values: Sequence[float]) -> list[float]:
    """1 for the least, less by 1 / SPAN for each factor of ten above it, never below 0."""
    return [max(0.0, 1 + math.log10(share) / SPAN) for share in inverse(values)]


def ranking(deployments: Sequence[Deployment], scores: Sequence[float], reason: str) -> Ranking:
    """Best first; equals keep their order."""
    pairs = sorted(zip(deployments, scores, strict=True), key=lambda pair: -pair[1])
    return Ranking(tuple(pairs), reason)


def _quality(deployment: Deployment, kind: str) -> float:
    quality = deployment.card.quality
    found = quality.get(kind)
    return quality.get("default", 0.5) if found is None else found


def _time(deployment: Deployment, request: Request, signals: Signals) -> float | None:
    name = deployment.name
    speed = signals.tokens_per_s.get(name)
    first = signals.ttft_s.get(name)
    if speed and first is not None:
        return first + expected_output(request, deployment.card) / speed
    return signals.latency_s.get(name)
