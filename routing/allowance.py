"""What a provider's own rate-limit headers say is left, whichever of their forms it uses. Pure; junk is passed over.

Forms (guide providers §3, §4, §6, §8): `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` with Go durations
(OpenAI, Groq), `anthropic-ratelimit-{requests,tokens}-{limit,…}` with RFC 3339 times, `x-ratelimit-…-{req,tokens}-minute`
and `ratelimitbysize-…` with seconds (Mistral), `x-ratelimit-…` with epochs (OpenRouter), none of it (most others).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PIECE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|us|µs|ns|h|m|s)")


def _names(*forms: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((form.format("remaining"), form.format("limit"), form.format("reset")) for form in forms)


_REQUESTS = _names(
    "x-ratelimit-{}-requests",
    "anthropic-ratelimit-requests-{}",
    "x-ratelimit-{}-req-minute",
    "x-ratelimit-{}",
)
_TOKENS = _names(
    "x-ratelimit-{}-tokens",
    "anthropic-ratelimit-tokens-{}",
    "x-ratelimit-{}-tokens-minute",
    "ratelimitbysize-{}",
)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one limit: a count, of how many, and seconds until all of it is back (None: not said)."""

    remaining: float
    limit: float | None = None
    reset_s: float | None = None

    @property
    def next_s(self) -> float | None:
        """Seconds until one more is there, None when that cannot be told. Limits refill steadily, not at the reset."""
        if self.remaining >= 1:
            return 0.0
        if self.reset_s is None or self.limit is None:
            return self.reset_s
        return self.reset_s / max(1.0, self.limit - self.remaining)


def read(headers: Mapping[str, str], now: float) -> tuple[Left | None, Left | None]:
    """Requests left and tokens left, where said. Header names in lower case; `now` is seconds since the epoch."""
    return _first(headers, _REQUESTS, now), _first(headers, _TOKENS, now)


def _first(headers: Mapping[str, str], forms: tuple[tuple[str, str, str], ...], now: float) -> Left | None:
    for left, limit, reset in forms:
        if left in headers and (remaining := _count(headers[left])) is not None:
            return Left(remaining, _count(headers.get(limit)), duration_s(headers.get(reset), now))
    return None


def _count(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def duration_s(text: str | None, now: float) -> float | None:
    """Seconds from `now` (epoch) to what a reset header means, None for junk.

    Takes seconds, epochs in seconds or milliseconds, Go durations such as `1m2.5s`, and RFC 3339 times.
    """
    text = (text or "").strip()[:64]
    if (number := _count(text)) is not None:
        return _epoch_or_seconds(number, now)
    if (seconds := _go_s(text)) is not None:
        return seconds
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, then.timestamp() - now) if then.tzinfo else None


def _epoch_or_seconds(number: float, now: float) -> float:
    if number < 1e8:  # three years: nobody states that as a wait, and the epoch was there in 1973
        return number
    return max(0.0, (number if number < 1e11 else number / 1000) - now)


def _go_s(text: str) -> float | None:
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)
