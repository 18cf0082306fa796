"""How a limit a minute becomes a flow that no minute exceeds: a burst, and the rest evenly. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` units at once, `per_s` units a second after that."""

    burst: float
    per_s: float


def pace(limit: float, share: float, period_s: float, *, whole: bool = False) -> Pace:
    """At most `limit` units in any `period_s` seconds, `share` of them at once: burst + flow = limit.

    `whole`: units are counted one by one (requests), so the last fraction of one may flow too.
    """
    burst = min(max(limit * share, 1.0), limit)
    flow = limit - burst + (0.9 if whole and limit >= 1 else 0.0)
    return Pace(burst, (flow or limit) / period_s)
