"""Counts what costs nothing and is worth knowing: cache hits and misses, fusions and their agreement. An observer."""

from ..events import CacheLooked, Event, Fused
from ..store.books import Counters
from ..types import NANO

HIGH, MEDIUM = 0.8, 0.5  # shares of agreement: the bands of the contract's costs


class Tally:
    """Told of every event, it counts the two kinds it knows."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def __call__(self, event: Event) -> None:
        """Count it."""
        match event:
            case CacheLooked():
                self._counters.count(f"cache:{event.kind}", nano=round(event.saved_usd * NANO))
            case Fused():
                self._fused(event)
            case _:
                pass

    def _fused(self, event: Fused) -> None:
        agreement = event.agreement
        self._counters.count("fuse", nano=round(event.cost_usd * NANO), value=agreement or 0.0)
        if agreement is not None:
            band = "high" if agreement >= HIGH else "medium" if agreement >= MEDIUM else "low"
            self._counters.count(f"fuse:{band}", value=agreement)
        if event.calls_saved:
            self._counters.count("fuse:stopped", nano=round(event.usd_saved * NANO), value=event.calls_saved)
