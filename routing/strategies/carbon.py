"""The least carbon first: the middle of the estimated range; a model nobody has figures for counts as the worst known."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import inverse, ranking


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = least grams / grams, unlisted models flagged in the reason."""
    del request
    ranges = [signals.grams(deployment) for deployment in deployments]
    middles = [None if grams is None else sum(grams) / 2 for grams in ranges]
    worst = max((grams for grams in middles if grams is not None), default=1.0)
    unlisted = [d.name for d, grams in zip(deployments, middles, strict=True) if grams is None]
    reason = "least CO2e, middle of the estimated range"
    if unlisted:
        reason += f"; no figures for {', '.join(unlisted[:5])}{' and others' * (len(unlisted) > 5)}"
    return ranking(deployments, inverse([worst if grams is None else grams for grams in middles]), reason)
