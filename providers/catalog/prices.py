"""Tariffs by provider and model, and what a usage costs. Flattened at build time from genai-prices: no import of it here.

Unknown is None ("unpriced"), never zero. Local engines are free. Dates, prompt-size tiers and times of day are kept:
a `Tariff` is evaluated for a moment. Money is counted in integer nano-dollars, rounded up.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any

from ..types import Listed, Price, PriceTier, Usage
from .published import NOTHING, Published
from .rows import canonical, row
from .snapshot import snapshot

FREE = Price(0.0, 0.0, source="local")
# Resellers billing at the vendor's list price (genai-prices: Azure falls back to these).
_FALLBACK: Mapping[str, tuple[str, ...]] = {"azure": ("openai", "anthropic", "deepseek", "xai", "mistral", "cohere")}
_FEMTO = 1_000_000_000  # femto-dollars per token in one USD per million tokens
_FEMTO_PER_NANO = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A price with the moments it holds: from a UTC date on, or in daily UTC minutes on ISO weekdays."""

    price: Price
    since: date | None = None
    minutes: tuple[int, int] | None = None
    days: frozenset[int] = frozenset({1, 2, 3, 4, 5, 6, 7})

    def holds(self, now: datetime) -> bool:
        """Whether this rate applies at `now` (aware)."""
        moment = now.astimezone(UTC)
        if self.since is not None and moment.date() < self.since:
            return False
        if self.minutes is None:
            return True
        start, end = self.minutes
        at = moment.hour * 60 + moment.minute
        inside = start <= at < end if start <= end else at >= start or at < end
        return inside and moment.isoweekday() in self.days


@dataclass(frozen=True, slots=True)
class Tariff:
    """Every rate of one model: of those that hold the last wins, and the first where none does (genai-prices' rule)."""

    rates: tuple[Rate, ...]

    def at(self, now: datetime) -> Price:
        """The price at `now` (aware)."""
        return next((rate.price for rate in reversed(self.rates) if rate.holds(now)), self.rates[0].price)

    @property
    def varies(self) -> bool:
        """Whether the price depends on the hour."""
        return any(rate.minutes for rate in self.rates)


def price(
    provider: str, model: str, now: datetime, listed: Listed | None = None, published: Published = NOTHING
) -> Price | None:
    """The tariff of a model at a provider, None where nobody publishes one. Configuration overlays it, not this.

    Strongest first: the provider's live list, a table the user fetched, the bundled one. `other` tells where two disagree.
    """
    name = canonical(provider)
    known = row(name)
    if known is not None and known.local:
        return FREE
    bundled = tariff(name, model)
    if listed is not None and listed.input_price is not None and listed.output_price is not None:
        said = Price(listed.input_price, listed.output_price, source=f"{name}'s own list")
        return _settled(said, bundled, now)
    newer = published.price(name, model)
    if newer is not None:
        return _settled(newer, bundled, now)
    return bundled.at(now) if bundled else None


def cost_nano(price: Price, usage: Usage) -> int:
    """What `usage` costs at `price`, in nano-dollars rounded up. Negative counts are nothing."""
    prompt = max(usage.input, 0)
    tier = _tier(price, prompt)
    hit = min(max(usage.cached_input, 0), prompt) if usage.cached_input else 0
    written = min(max(usage.cache_write, 0), prompt - hit) if usage.cache_write else 0
    total = (prompt - hit - written) * _femto(tier.input) + max(usage.output, 0) * _femto(tier.output)
    if hit:
        total += hit * _femto(tier.input if tier.cached_input is None else tier.cached_input)
    if written:
        total += written * _femto(tier.input if tier.cache_write is None else tier.cache_write)
    if price.per_request and (prompt or usage.output > 0):
        total += _fee(price)
    return -(-total // _FEMTO_PER_NANO)


def in_batch(price: Price, share: float) -> Price:
    """The tariff of a provider's batch endpoint, which takes `share` of the ordinary one."""

    def cut(usd: float | None) -> float | None:
        return None if usd is None else round(usd * share, 9)

    tiers = tuple(
        PriceTier(t.above, t.input * share, t.output * share, cut(t.cached_input), cut(t.cache_write))
        for t in price.tiers
    )
    return Price(
        price.input * share,
        price.output * share,
        cut(price.cached_input),
        cut(price.cache_write),
        tiers,
        price.per_request,
        f"{price.source} batch".strip(),
    )


def worst_nano(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that up to so many tokens can cost: any reachable tier, everything written to the prompt cache."""
    reachable = [price, *(tier for tier in price.tiers if tier.above <= input_tokens)]
    inputs = max(_femto(max(step.input, step.cache_write or 0.0)) for step in reachable)
    outputs = max(_femto(step.output) for step in reachable)
    total = inputs * max(input_tokens, 0) + outputs * max(output_tokens, 0) + _fee(price)
    return -(-total // _FEMTO_PER_NANO)


@lru_cache(maxsize=4096)
def tariff(provider: str, model: str) -> Tariff | None:
    """All rates of a model at a provider (its canonical name)."""
    if provider == "openrouter" and model.endswith(":free"):
        return Tariff((Rate(Price(0.0, 0.0, source="openrouter :free")),))
    entry = next((found for table, name in _tables(provider, model) if (found := entry_of(table, name))), None)
    return Tariff(tuple(map(_rate, entry["rates"]))) if entry else None


def entry_of(table: str, model: str) -> Mapping[str, Any] | None:
    """The price entry of the snapshot for this id: by exact name, then by genai-prices' patterns."""
    exact, patterns = _index(table)
    name = model.lower()
    if (found := exact.get(name)) is not None:
        return found
    return next((entry for pattern, entry in patterns if pattern.search(name)), None)


def _tables(provider: str, model: str) -> Sequence[tuple[str, str]]:
    if provider == "huggingface":
        name, _, behind = model.partition(":")
        return [(f"huggingface:{behind}", name)] if behind else []
    return [(table, model) for table in (provider, *_FALLBACK.get(provider, ()))]


@cache
def _index(table: str) -> tuple[Mapping[str, Mapping[str, Any]], Sequence[tuple[re.Pattern[str], Mapping[str, Any]]]]:
    entries = snapshot()["prices"].get(table, [])
    exact = {name.lower(): entry for entry in reversed(entries) for name in (*entry.get("also", ()), entry["id"])}
    return exact, [(re.compile(entry["like"]), entry) for entry in entries if "like" in entry]


def _settled(newer: Price, bundled: Tariff | None, now: datetime) -> Price:
    """The bundled tariff where it has this very price: it knows tiers, hours and dates as well. Else the newer price."""
    if bundled is None:
        return newer
    if any((rate.price.input, rate.price.output) == (newer.input, newer.output) for rate in bundled.rates):
        return bundled.at(now)
    ours = bundled.at(now)
    return replace(newer, other=f"{ours.source.partition(',')[0]} says ${ours.input:g} and ${ours.output:g}")


def _rate(fields: Mapping[str, Any]) -> Rate:
    hours = fields.get("hours")
    return Rate(
        Price(
            *_four(fields),
            tiers=tuple(PriceTier(tier["above"], *_four(tier)) for tier in fields.get("tiers", ())),
            per_request=fields.get("call", 0.0),
            source=snapshot()["about"]["prices"],
        ),
        since=date.fromisoformat(fields["from"]) if "from" in fields else None,
        minutes=(_minutes(hours[0]), _minutes(hours[1])) if hours else None,
        days=frozenset(fields.get("days", range(1, 8))),
    )


def _four(fields: Mapping[str, Any]) -> tuple[float, float, float | None, float | None]:
    return fields["in"], fields["out"], fields.get("hit"), fields.get("write")


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _tier(price: Price, prompt: int) -> Price | PriceTier:
    if not price.tiers:
        return price
    reached = [tier for tier in price.tiers if tier.above <= prompt]
    return max(reached, key=lambda tier: tier.above) if reached else price


def _fee(price: Price) -> int:
    return round(price.per_request * _FEMTO) * _FEMTO_PER_NANO


def _femto(usd_per_million: float) -> int:
    return round(usd_per_million * _FEMTO)
