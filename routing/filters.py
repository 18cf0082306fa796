"""Who may serve an ask at all. Pure: one deployment and the ask's needs in, nothing or an exclusion with its reason out.

From far to near: what can never serve, what policy forbids, what lacks an ability, what does not fit, what cannot be
paid, what is held back now. The first reason found is the one told.
"""

import fnmatch
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from providers.types import Capability, Image, ModelCard, Price, Request

from .envelope import LEAST_OUTPUT, affordable_output, cost_usd, default_output, least
from .ports import Gate, Guard, Measure, Purse
from .settings import RoutingSettings
from .types import Ask, Deployment, Exclusion

SHAPES = 64  # kinds of asks (and candidates) whose fixed exclusions are remembered
UNBOUNDED = 1 << 62
FILTERS = "rate_limited", "provider_failed", "budget_exceeded", "context_too_long", "policy", "no_model"  # last first
DEPTH = {code: place for place, code in enumerate(FILTERS)}
MARGIN = 1.05  # of the estimated input: tokenizers differ, a refused prompt costs a round trip


class Needs(NamedTuple):
    """What an ask demands of whoever serves it, worked out once. `named`: the caller chose this model himself."""

    ask: Ask
    abilities: frozenset[Capability]
    kind: str
    left_s: float
    left_usd: float | None  # of the ask's own envelope
    named: bool


def needs(ask: Ask, *, kind: str, left_s: float, spent_usd: float, named: bool) -> Needs:
    """The needs of this ask with what is left of its time and money."""
    request = ask.request
    abilities = set(ask.require)
    if request.tools:
        abilities.add("tools")
    if any(isinstance(part, Image) for message in request.messages for part in message.parts):
        abilities.add("vision")
    left_usd = None if ask.max_cost_usd is None else ask.max_cost_usd - spent_usd
    return Needs(ask, frozenset(abilities), kind, left_s, left_usd, named)


@dataclass(slots=True)
class Sizes:
    """Input tokens by model family, counted once each."""

    request: Request
    measure: Measure
    estimates: dict[str, int] = field(default_factory=dict[str, int])
    _bounds: dict[str, int] = field(default_factory=dict[str, int])

    def estimate(self, card: ModelCard) -> int:
        """The likely number."""
        known = self.estimates.get(card.counted_as)
        return known if known is not None else _remember(self.estimates, card, self.measure.estimate, self.request)

    def bound(self, card: ModelCard) -> int:
        """A number never below the true one."""
        return _remember(self._bounds, card, self.measure.bound, self.request)


@dataclass(frozen=True, slots=True)
class Field:
    """Deployments after the filters that no ask of the same shape can change, with the extremes of who is left.

    An ask that fits the narrowest window and can pay the dearest price fits them all: nobody is looked at one by one.
    `cards` is one card per way of counting tokens; `window` is in tokens, `dearest` in USD per million tokens.
    """

    of: tuple[Deployment, ...]
    eligible: tuple[Deployment, ...]
    out: Mapping[str, Exclusion]
    cards: tuple[ModelCard, ...]
    window: int
    dearest: Price

    def costs_at_most(self, tokens: int, output: int) -> float:
        """USD that no eligible deployment's worst case is above."""
        return cost_usd(self.dearest, tokens, output)


def field_of(deployments: tuple[Deployment, ...], why: Callable[[Deployment], Exclusion | None]) -> Field:
    """The field of those for whom there is no fixed reason `why` not."""
    found = [(d, why(d)) for d in deployments]
    eligible = tuple(d for d, reason in found if reason is None)
    rates = [rate for d in eligible if d.price is not None for rate in (d.price, *d.price.tiers)]
    return Field(
        of=deployments,
        eligible=eligible,
        out={d.name: reason for d, reason in found if reason is not None},
        cards=tuple({d.card.counted_as: d.card for d in reversed(eligible)}.values()),
        window=min((min(d.card.context_window, d.card.max_input or UNBOUNDED) for d in eligible), default=0),
        dearest=Price(
            max((max(rate.input, rate.cache_write or 0.0) for rate in rates), default=0.0),
            max((rate.output for rate in rates), default=0.0),
        ),
    )


@dataclass(frozen=True, slots=True)
class Filters:
    """The hard filters over the house's state. What cannot change between asks alike is remembered."""

    settings: RoutingSettings
    purse: Purse
    gate: Gate
    guard: Guard
    _fields: dict[Hashable, Field] = field(default_factory=dict[Any, Any])

    def admit(
        self, deployments: Iterable[Deployment], needs: Needs, sizes: Sizes, excluded: dict[str, Exclusion]
    ) -> Sequence[Deployment]:
        """Those that may serve as far as they themselves go; the others are added to `excluded`. See also `held`."""
        found = self._field(tuple(deployments), needs)
        excluded.update(found.out)
        if self._ample(found, needs, sizes):
            return found.eligible
        admitted: list[Deployment] = []
        for d in found.eligible:
            if (why := _window(d, needs, sizes) or self._money(d, needs, sizes)) is None:
                admitted.append(d)
            else:
                excluded[d.name] = why
        return admitted

    def _ample(self, found: Field, needs: Needs, sizes: Sizes) -> bool:
        """Whether window and money are enough for every eligible one, whatever its own are."""
        output = needs.ask.request.max_tokens or LEAST_OUTPUT
        if max(map(sizes.estimate, found.cards), default=0) * MARGIN + output > found.window:
            return False
        room = least((needs.left_usd, self.purse.room_usd(needs.ask) if self.settings.cheaper else None))
        return room is None or found.costs_at_most(max(map(sizes.bound, found.cards), default=0), output) <= room

    def held(self, d: Deployment, needs: Needs, sizes: Sizes) -> Exclusion | None:
        """Whether a breaker, a cooldown or a rate limit holds it back now, and for how long."""
        if (held := self.guard.blocked(d)) is not None:
            return Exclusion(d, held[0], held[1], code="provider_failed")
        wait = self.gate.wait_s(d, sizes.estimate(d.card))
        if wait > needs.left_s:
            return Exclusion(d, f"its rate limit has no room for {wait:.0f} s", wait, code="rate_limited")
        return None

    def _field(self, deployments: tuple[Deployment, ...], needs: Needs) -> Field:
        ask = needs.ask
        shape = (needs.abilities, needs.kind, needs.named, ask.local_only, ask.allowed_models, ask.exclude_families)
        key = (*shape, ask.min_quality, ask.any_region, id(deployments))
        known = self._fields.get(key)
        if known is None or known.of is not deployments:
            if len(self._fields) >= SHAPES:
                self._fields.clear()
            known = self._fields[key] = field_of(deployments, lambda d: self._fixed(d, needs))
        return known

    def _fixed(self, d: Deployment, needs: Needs) -> Exclusion | None:
        why = _standing(d) or self._policy(d, needs) or _ability(d, needs) or self._price(d, needs)
        return None if why is None else Exclusion(d, why[1], code=why[0])

    def _policy(self, d: Deployment, needs: Needs) -> tuple[str, str] | None:
        ask, regions = needs.ask, self.settings.allowed_regions
        if regions and not d.local and not ask.any_region and d.region not in regions:
            return "policy", f"its region {d.region or '(unknown)'} is not among the allowed ones"
        if ask.local_only and not d.local:
            return "policy", "a context source of this request may not leave the machine"
        if ask.allowed_models and not any(_matches(d, pattern) for pattern in ask.allowed_models):
            return "policy", "this caller's token does not allow it"
        return None

    def _price(self, d: Deployment, needs: Needs) -> tuple[str, str] | None:
        if d.price is None:
            return None if self.settings.unpriced else ("budget_exceeded", "it has no known price")
        limit = self.settings.max_price
        if limit is None or needs.named or d.price.output <= limit:
            return None
        return "no_model", f"${d.price.output:g} per million output tokens is above routing.max_price (${limit:g})"

    def _money(self, d: Deployment, needs: Needs, sizes: Sizes) -> Exclusion | None:
        room = least((needs.left_usd, self.purse.room_usd(needs.ask, d) if self.settings.cheaper else None))
        if room is None or d.price is None:
            return None
        asked = needs.ask.request.max_tokens
        output = min(LEAST_OUTPUT, d.card.max_output) if asked is None else asked
        bound = sizes.bound(d.card)
        if affordable_output(d.price, bound, room) >= output:
            return None
        need = cost_usd(d.price, bound, output)
        return Exclusion(d, f"it could cost ${need:.6f}, ${max(room, 0):.6f} is left", code="budget_exceeded")


def output_cap(deployment: Deployment, needs: Needs, sizes: Sizes, room_usd: float | None) -> int:
    """`max_tokens` to send where the caller gave none: the card, our default, what the money affords (contract §3)."""
    cap = default_output(needs.ask.request, deployment.card)
    room = least((needs.left_usd, room_usd))
    if room is None or deployment.price is None:
        return cap
    affordable = affordable_output(deployment.price, sizes.bound(deployment.card), room)
    return max(min(cap, affordable), min(LEAST_OUTPUT, deployment.card.max_output))


def _standing(d: Deployment) -> tuple[str, str] | None:
    if d.card.capabilities == frozenset({"embeddings"}):
        return "no_model", "it makes embeddings, not answers"
    if d.status == "no_key":
        return "authentication", "no key is set for its provider"
    if d.status == "retired":
        return "no_model", f"it is retired; today's is {d.card.replaced_by}" if d.card.replaced_by else "it is retired"
    return None


def _ability(d: Deployment, needs: Needs) -> tuple[str, str] | None:
    if not needs.abilities <= d.card.capabilities:
        missing = ", ".join(sorted(needs.abilities - d.card.capabilities))
        return "no_model", f"it has no {missing}"
    ask = needs.ask
    if d.card.family and d.card.family in ask.exclude_families:
        return "no_model", f"its family {d.card.family} is excluded"
    if ask.min_quality is not None:
        quality = d.card.quality.get(needs.kind, d.card.quality.get("default", 0.5))
        if quality < ask.min_quality:
            return "no_model", f"its quality at {needs.kind} is {quality:.2f}, below {ask.min_quality:.2f}"
    return None


def _window(d: Deployment, needs: Needs, sizes: Sizes) -> Exclusion | None:
    output = min(needs.ask.request.max_tokens or LEAST_OUTPUT, d.card.max_output)
    prompt = int(sizes.estimate(d.card) * MARGIN)
    if d.card.max_input is not None and prompt > d.card.max_input:
        why = f"about {prompt:,} tokens are above its input limit of {d.card.max_input:,}"
        return Exclusion(d, why, code="context_too_long")
    need = prompt + output
    if need <= d.card.context_window:
        return None
    why = f"about {need:,} tokens do not fit its window of {d.card.context_window:,}"
    return Exclusion(d, why, code="context_too_long")


def _matches(d: Deployment, pattern: str) -> bool:
    return fnmatch.fnmatchcase(d.name, pattern) or fnmatch.fnmatchcase(d.model, pattern)


def _remember(
    known: dict[str, int], card: ModelCard, count: Callable[[Request, ModelCard], int], request: Request
) -> int:
    key = card.counted_as
    found = known.get(key)
    if found is None:
        found = known[key] = count(request, card)
    return found


def nearest(excluded: Mapping[str, Exclusion], limit: int = 20) -> tuple[Exclusion, ...]:
    """The exclusions nearest to serving: those that return soonest, then those that failed the latest filter."""
    ranked = sorted(excluded.values(), key=lambda e: (_soon(e), DEPTH.get(e.code, len(DEPTH))))
    return tuple(ranked[:limit])


def _soon(exclusion: Exclusion) -> float:
    return float("inf") if exclusion.returns_s is None else exclusion.returns_s
