"""What an ask should cost and take at each candidate, for strategies to weigh. Pure; unknowns are filled in here."""

from collections.abc import Mapping, Sequence

from .envelope import cost_usd, expecting
from .filters import Sizes
from .signals import Traffic
from .types import Deployment


def costs(deployments: Sequence[Deployment], sizes: Sizes) -> dict[str, float]:
    """Expected USD by name; one without a price counts as the dearest (unknown is not free)."""
    found: dict[str, float] = {}
    unpriced: list[str] = []
    output, estimate = expecting(sizes.request), sizes.estimate
    for d in deployments:
        if d.price is None:
            unpriced.append(d.name)
        else:
            found[d.name] = cost_usd(d.price, estimate(d.card), output(d.card))
    if unpriced:
        found.update(dict.fromkeys(unpriced, max(found.values(), default=0.0)))
    return found


def times(deployments: Sequence[Deployment], sizes: Sizes, traffic: Traffic) -> Mapping[str, float]:
    """Expected seconds by name; one never asked counts as the mean of the others: neither shunned nor sought."""
    found: dict[str, float] = {}
    unknown: list[str] = []
    output, first, speed, whole = expecting(sizes.request), traffic.ttft_s, traffic.tokens_per_s, traffic.latency_s
    for d in deployments:
        name = d.name
        if name in speed and name in first:
            found[name] = first[name] + output(d.card) / speed[name]
        elif name in whole:
            found[name] = whole[name]
        else:
            unknown.append(name)
    if unknown:
        mean = sum(found.values()) / len(found) if found else 1.0
        found.update(dict.fromkeys(unknown, mean))
    return found
