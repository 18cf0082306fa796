"""What was not spent: by caches, by choosing instead of always taking the best, by fusions that stopped early. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from providers.types import Usage

from ..store.books import Line, Tally
from ..types import NANO, Deployment
from .pricing import CostNano


@dataclass(frozen=True, slots=True)
class Savings:
    """USD. `prompt_cache_usd` is what input read from providers' prompt caches would have cost beside them. `baseline` names the deployment routed answers are compared with; `routing_usd` is below 0 where it was cheaper."""

    cache_usd: float
    routing_usd: float
    early_stop_usd: float
    baseline: str
    prompt_cache_usd: float = 0.0


def savings(
    lines: Iterable[Line], tallies: Mapping[str, Tally], deployments: Sequence[Deployment], cost: CostNano
) -> Savings:
    """Routed: asks for `auto` or a group. The baseline is the deployment with the best quality, at equal use of tokens."""
    cached = sum(nano for kind, (_, nano, _) in tallies.items() if kind.startswith("cache:"))
    stopped = tallies.get("fuse:stopped", (0, 0, 0.0))[1]
    best = single_best(deployments)
    lines = list(lines)
    routed = [line for line in lines if routed_line(line) and line.calls]
    saved = sum(_at(line, best, cost) - line.nano for line in routed) if best else 0
    return Savings(
        cached / NANO,
        saved / NANO,
        stopped / NANO,
        best.name if best else "",
        _read_from_cache(lines, deployments, cost) / NANO,
    )


def single_best(deployments: Sequence[Deployment]) -> Deployment | None:
    """The usable priced deployment of the highest quality; of equals the cheapest."""
    priced = [d for d in deployments if d.price and not d.simulated and d.status in ("available", "degraded")]
    return max(
        priced, key=lambda d: (d.card.quality.get("default", 0.0), -d.price.output if d.price else 0), default=None
    )


def routed_line(line: Line) -> bool:
    """Whether Plenum chose this model: the ask named something else."""
    return not line.simulated and line.asked not in (line.model, f"{line.provider}/{line.model}")


def _read_from_cache(lines: Iterable[Line], deployments: Sequence[Deployment], cost: CostNano) -> int:
    """At today's prices. What was written to a cache has cost more, and counts against it."""
    prices = {d.name: d.price for d in deployments if d.price is not None}
    saved = 0
    for line in lines:
        price = prices.get(f"{line.provider}/{line.model}")
        if price is not None and line.calls and (line.cached_input or line.cache_write):
            parts = line.input, line.output, line.cached_input, line.cache_write
            given, said, read, written = (part // line.calls for part in parts)
            saved += (cost(price, Usage(given, said)) - cost(price, Usage(given, said, read, written))) * line.calls
    return saved


def _at(line: Line, best: Deployment, cost: CostNano) -> int:
    """What the same tokens cost there, prompt by prompt: tiers go by one prompt, not by their sum."""
    if best.price is None:
        return 0
    calls = max(line.calls, 1)
    each = Usage(line.input // calls, line.output // calls, line.cached_input // calls)
    return cost(best.price, each) * calls
