"""Stretches of time in which every local day has 24 hours, so that a ledger can count days off by arithmetic. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from .budgets import zone_of

WEEK_S = 7 * 86_400.0  # no zone changes its clocks twice in a week


class Stretch(NamedTuple):
    """[since, until) in seconds since the epoch, and a number that is a midnight there, modulo a day."""

    since: float
    until: float
    midnight: int


def stretches(since: float, until: float, zone: str) -> Iterator[Stretch]:
    """The same time in pieces, cut where the zone's clocks are changed."""
    begun, looked = since, since
    while looked < until:
        following = min(looked + WEEK_S, until)
        if _offset(looked, zone) != _offset(following, zone):
            change = _change(looked, following, zone)
            yield Stretch(begun, change, -_offset(begun, zone))
            begun = change
        looked = following
    if begun < until:
        yield Stretch(begun, until, -_offset(begun, zone))


def _change(before: float, after: float, zone: str) -> float:
    """The second at which the clocks are changed between these two."""
    low, high = int(before), int(after) + 1
    old = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle, zone) == old else (low, middle)
    return min(max(float(high), before), after)


def _offset(at: float, zone: str) -> int:
    found = datetime.fromtimestamp(at, UTC).astimezone(zone_of(zone)).utcoffset()
    return int(found.total_seconds()) if found is not None else 0
