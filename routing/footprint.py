"""Grams of CO2e of an answer, from the catalogue's ranges; figures are rounded so that most are found, not computed.

An estimate spans a factor of three or more: two digits of tokens and one of seconds change nothing in it, and computing
one costs as much CPU as the rest of a call.
"""

from functools import lru_cache

from providers.catalog.carbon import grams

from .types import Deployment


def footprint(deployment: Deployment, output_tokens: int, seconds: float) -> tuple[float, float] | None:
    """Low and high grams; None for a model nobody has figures for. The first call imports ecologits (0.15 s)."""
    if deployment.simulated:
        return None
    tokens, wait = _rounded(output_tokens, 2), _rounded(seconds, 1)
    return _grams(deployment.name, int(tokens), wait, deployment.zone, deployment.card.parameters_b)


@lru_cache(maxsize=4096)
def _grams(
    name: str, tokens: int, seconds: float, zone: str, parameters_b: tuple[float, float] | None
) -> tuple[float, float] | None:
    found = grams(name, tokens, seconds, zone, parameters_b)
    return None if found is None else (found.low, found.high)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")
