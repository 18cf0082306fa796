"""What a vote weighs. Pure. Source: guide fusion-and-routing §5, §9."""

import math

OFFSET = 1.0  # b: two weak models that agree on an open answer are strong evidence; 0 fails on weak pools
LEAST = 0.02


def weight(quality: float) -> float:
    """A vote's weight: log-odds of being right plus the offset."""
    p = min(0.98, max(0.02, quality))
    return max(LEAST, math.log(p / (1 - p)) + OFFSET)


def equal(quality: float) -> float:
    """Everybody counts the same."""
    del quality
    return 1.0
