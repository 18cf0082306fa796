"""One pure file per strategy: a function `rank` in a file whose name is the strategy's name in configuration.

A strategy gets deployments that all may serve, and says in which order they should, with scores 0..1. It does no I/O
and knows no clock. Others come from the entry point group `plenum.strategies` (the function itself).
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from providers.types import Request

from ..types import Deployment, Ranking, Signals

Strategy = Callable[[Sequence[Deployment], Request, Signals], Ranking]


@cache
def names() -> tuple[str, ...]:
    """Every strategy this process has, built in or from an entry point."""
    built_in = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted({*built_in, *(entry.name for entry in entry_points(group="plenum.strategies"))}))


@cache
def load(name: str) -> Strategy:
    """The strategy of this name. Raises KeyError where there is none."""
    for entry in entry_points(group="plenum.strategies", name=name):
        return entry.load()
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").rank
