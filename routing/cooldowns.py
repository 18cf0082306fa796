"""Cooldowns: what a provider said about when to come back, kept apart from whether it is broken.

A rate limit, an empty account and a dead key hold an endpoint (or one of its models) without a vote on its breaker.
Rules: guide reliability-and-security §4.2. No I/O, clock injected; `guard.py` above combines this with the breakers.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from providers.errors import AuthenticationFailed, ModelNotFound, ProviderError, QuotaExhausted, RateLimited

Reason = Literal["rate limited", "busy until then", "quota exhausted", "key refused", "model not found"]


@dataclass(frozen=True, slots=True)
class CooldownSettings:
    """Seconds. A stated wait is clamped to `longest_s`; without a usable one it is `first_s`, doubling to `guess_s`.

    After `quota_s`, `key_s` and `model_s` one probe at a time may look, each for at most `lease_s`.
    """

    longest_s: float = 3600.0
    first_s: float = 1.0
    guess_s: float = 60.0
    quota_s: float = 900.0
    key_s: float = 600.0
    model_s: float = 600.0
    lease_s: float = 120.0


@dataclass(slots=True)
class Hold:
    """One thing held back. `stated`: the provider (or its account) said so, it is no guess of ours.

    `trial`: when the time is up only one call at a time may look, until one succeeds.
    """

    reason: Reason
    since: float
    until: float
    stated: bool
    trial: bool = False
    strikes: int = 0
    foreign: bool = False  # learnt from another replica
    looking_until: float = field(default=-math.inf)


@dataclass(frozen=True, slots=True)
class Notice:
    """A hold as told to others: seconds left (0 lifts it), and whether it ends with a single look."""

    name: str
    reason: Reason
    left_s: float
    trial: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """What an error asks for: a hold of `for_s` seconds, None for a growing guess of ours."""

    reason: Reason
    for_s: float | None
    stated: bool
    trial: bool = False


def sentence(error: ProviderError, settings: CooldownSettings) -> Sentence | None:
    """How this error cools; None if it does not. A wait that is no positive finite number counts as none."""
    wait_s = error.after if error.after is not None and math.isfinite(error.after) and error.after > 0 else None
    stated_s = min(wait_s, settings.longest_s) if wait_s is not None else None
    match error:
        case QuotaExhausted():
            return Sentence("quota exhausted", max(stated_s or 0.0, settings.quota_s), stated=True, trial=True)
        case AuthenticationFailed():
            return Sentence("key refused", settings.key_s, stated=True, trial=True)
        case ModelNotFound():
            return Sentence("model not found", settings.model_s, stated=True, trial=True)
        case RateLimited():
            return Sentence("rate limited", stated_s, stated=stated_s is not None)
        case _ if error.vote == "failure" and stated_s is not None:
            return Sentence("busy until then", stated_s, stated=True)
        case _:
            return None


class Cooldowns:
    """Holds by name. Names are the caller's: an endpoint, or an endpoint's model."""

    def __init__(self, settings: CooldownSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._holds: dict[str, Hold] = {}

    def __bool__(self) -> bool:
        return bool(self._holds)

    def wait_s(self, name: str, *, force: bool = False) -> tuple[str, float] | None:
        """Why and for how long `name` is held, None if it is not. `force` overrides guesses. Changes nothing."""
        hold = self._holds.get(name)
        if hold is None or (force and not hold.stated):
            return None
        now = self._clock()
        if now < hold.until:
            return hold.reason, hold.until - now
        if hold.trial and now < hold.looking_until:
            return f"{hold.reason}; somebody is looking", min(hold.looking_until - now, self._settings.first_s)
        return None

    def trial(self, name: str) -> bool:
        """Whether a hold allows one look when its time is up, and no more until that went well."""
        hold = self._holds.get(name)
        return hold is not None and hold.trial

    def look(self, name: str) -> bool:
        """Take the one look a hold allows when its time is up. False where no look is needed."""
        hold = self._holds.get(name)
        if hold is None or not hold.trial:
            return False
        hold.looking_until = self._clock() + self._settings.lease_s
        return True

    def looked(self, name: str) -> None:
        """The look ended without a verdict: somebody else may."""
        if hold := self._holds.get(name):
            hold.looking_until = -math.inf

    def forgive(self, name: str, admitted: float) -> None:
        """A call admitted at `admitted` succeeded: forget the hold, unless it began after that call did."""
        hold = self._holds.get(name)
        if hold is not None and admitted >= hold.since:
            del self._holds[name]

    def strike(self, name: str, error: ProviderError) -> Hold | None:
        """Hold `name` as this error asks; None if it asks for nothing, or for no more than is held already."""
        verdict = sentence(error, self._settings)
        if verdict is None:
            return None
        now, held = self._clock(), self._holds.get(name)
        strikes = self._strikes(held, now)
        for_s = verdict.for_s if verdict.for_s is not None else self._guess_s(strikes)
        if held is not None and held.until >= now + for_s:
            return None
        hold = Hold(verdict.reason, now, now + for_s, verdict.stated, verdict.trial, strikes)
        self._holds[name] = hold
        return hold

    def hear(self, notices: Iterable[Notice]) -> None:
        """What all replicas hold now: take over what is longer than ours, let go what was only theirs and is lifted."""
        now, standing = self._clock(), {notice.name: notice for notice in notices}
        lifted = [n for n, hold in self._holds.items() if hold.foreign and n not in standing and hold.until > now + 1.0]
        for name in lifted:  # those whose time is nearly up are not lifted: they end, with a look where one is due
            del self._holds[name]
        for name, told in standing.items():
            held = self._holds.get(name)
            if held is None or held.foreign or held.until < now + told.left_s - 1.0:
                since = held.since if held is not None and held.foreign else now
                self._holds[name] = Hold(
                    told.reason, since, now + told.left_s, stated=True, trial=told.trial, foreign=True
                )

    def reset(self, name: str) -> bool:
        """Forget what is held of `name` (by hand, or because its key changed). True if something was."""
        return self._holds.pop(name, None) is not None

    def running(self, *, own: bool = False) -> Iterator[Notice]:
        """Every hold whose time is not up; `own`: only those this process learnt itself."""
        now = self._clock()
        return (
            Notice(name, hold.reason, hold.until - now, hold.trial)
            for name, hold in self._holds.items()
            if hold.until > now and not (own and hold.foreign)
        )

    def _strikes(self, held: Hold | None, now: float) -> int:
        # A burst refused at once is one strike: those calls started before anybody could know.
        if held is None:
            return 1
        return held.strikes if now < held.until else held.strikes + 1

    def _guess_s(self, strikes: int) -> float:
        return min(self._settings.first_s * 2 ** min(max(strikes, 1) - 1, 30), self._settings.guess_s)
