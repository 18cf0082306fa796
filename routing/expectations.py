"""What an ask should cost and take at each candidate, for strategies to weigh. Pure; unknowns are filled in here."""

from collections.abc import Mapping, Sequence

from providers.types import Request

from .envelope import cost_usd, expecting
from .filters import Sizes
from .signals import Traffic
from .types import Deployment


def outputs(deployments: Sequence[Deployment], request: Request) -> list[int]:
    """Output tokens to expect of each."""
    expected = expecting(request)
    return [expected(d.card) for d in deployments]


def costs(deployments: Sequence[Deployment], sizes: Sizes, output: Sequence[int]) -> dict[str, float]:
    """Expected USD by name; one without a price counts as the dearest (unknown is not free)."""
    found: dict[str, float] = {}
    unpriced: list[str] = []
    known, estimate = sizes.estimates, sizes.estimate
    for d, tokens in zip(deployments, output, strict=True):
        price, kind = d.price, d.card.counted_as
        if price is None:
            unpriced.append(d.name)
        else:
            found[d.name] = cost_usd(price, known[kind] if kind in known else estimate(d.card), tokens)
    if unpriced:
        found.update(dict.fromkeys(unpriced, max(found.values(), default=0.0)))
    return found


def times(deployments: Sequence[Deployment], traffic: Traffic, output: Sequence[int]) -> Mapping[str, float]:
    """Expected seconds by name; one never asked counts as the mean of the others: neither shunned nor sought."""
    found: dict[str, float] = {}
    unknown: list[str] = []
    first, speed, whole = traffic.ttft_s, traffic.tokens_per_s, traffic.latency_s
    for d, tokens in zip(deployments, output, strict=True):
        name = d.name
        if name in speed and name in first:
            found[name] = first[name] + tokens / speed[name]
        elif name in whole:
            found[name] = whole[name]
        else:
            unknown.append(name)
    if unknown:
        mean = sum(found.values()) / len(found) if found else 1.0
        found.update(dict.fromkeys(unknown, mean))
    return found
