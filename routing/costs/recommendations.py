"""What a person could do to pay less, with the sum it would have saved and the exact step. Pure, one function each."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from providers.types import Price, Usage

from ..store.books import Habits, Line
from ..types import NANO, Deployment
from .pricing import CostNano

WORTH = 0.005  # share of the spending, and
WORTH_USD = 0.01  # dollars, below which nobody should be bothered
AS_GOOD = 0.02  # quality within which two models count as equals
PREFIX_TOKENS = 1024  # what a repeated prefix of 4,096 characters comes to
DRIFT = 0.02  # reported against computed cost beyond which the price table is doubted


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Advice in a sentence, what it would have saved over the period in USD, and the step to take."""

    text: str
    saves_usd: float
    action: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What advice is drawn from."""

    lines: Sequence[Line]
    habits: Habits
    deployments: Sequence[Deployment]
    cost: CostNano
    cache_enabled: bool = True


def recommendations(evidence: Evidence) -> tuple[Recommendation, ...]:
    """Worth most first; at most eight."""
    total = sum(line.nano for line in evidence.lines) / NANO
    found = [advice for source in SOURCES for advice in source(evidence)]
    worth = [a for a in found if a.saves_usd == 0 or a.saves_usd >= max(WORTH_USD, WORTH * total)]
    return tuple(sorted(worth, key=lambda a: -a.saves_usd)[:8])


def cheaper_equivalent(evidence: Evidence) -> Iterator[Recommendation]:
    """A model as good, or the same one elsewhere, that would have cost less for the same tokens."""
    usable = [d for d in evidence.deployments if d.price and d.status == "available" and not d.simulated]
    known = {d.name: d for d in evidence.deployments}
    for name, lines in _by_model(evidence.lines).items():
        used = known.get(name)
        if used is None or used.price is None or used.simulated:
            continue
        spent = sum(line.nano for line in lines)
        rivals = [(_cost(lines, d.price, evidence.cost), d) for d in usable if d.price and _as_good(d, used)]
        least, rival = min(rivals, key=lambda pair: pair[0], default=(spent, used))
        if rival.name != name and least < spent:
            same = "the same model" if rival.group and rival.group == used.group else "as good by its scores"
            text = (
                f"{rival.name} ({same}) would have answered what {name} did for {_usd(least)} instead of {_usd(spent)}"
            )
            yield Recommendation(
                text, (spent - least) / NANO, f'ask for model "{rival.name}", or "auto" with strategy "cost"'
            )


def repeated_prefix(evidence: Evidence) -> Iterator[Recommendation]:
    """Long prompts that begin alike and are paid in full each time."""
    prices = {d.name: d.price for d in evidence.deployments if d.price}
    saved: dict[str, float] = defaultdict(float)
    for repeat in evidence.habits.prefixes:
        price = prices.get(f"{repeat.provider}/{repeat.model}")
        if price is None or price.cached_input is None:
            continue
        uncached = max((repeat.calls - 1) * PREFIX_TOKENS - repeat.cached_input, 0)
        saved[f"{repeat.provider}/{repeat.model}"] += uncached * (price.input - price.cached_input) / 1e6
    for name, usd in saved.items():
        text = f"prompts to {name} begin with the same long text and are not read from its prompt cache"
        yield Recommendation(
            text, usd, "put what stays the same (instructions, documents) first, in `system`, unchanged"
        )


def long_history(evidence: Evidence) -> Iterator[Recommendation]:
    """Conversations that drag twenty messages or more along."""
    prices = {d.name: d.price for d in evidence.deployments if d.price}
    for repeat in evidence.habits.histories:
        price = prices.get(f"{repeat.provider}/{repeat.model}")
        if price is not None:
            usd = repeat.input / 2 * price.input / 1e6
            text = (
                f"{repeat.calls} calls to {repeat.provider}/{repeat.model} carried conversations of 20 messages or more"
            )
            yield Recommendation(text, usd, "start a new conversation with a summary when the subject changes")


def unused_max_tokens(evidence: Evidence) -> Iterator[Recommendation]:
    """Room that was held in the budget and never used."""
    for name, lines in _by_model(evidence.lines).items():
        answered, room = sum(line.ok for line in lines), sum(line.max_tokens for line in lines)
        used = sum(line.ok_output for line in lines)
        if answered >= 20 and used * 20 < room:
            text = (
                f"answers of {name} use {100 * used // room} % of the max_tokens sent, so budgets are held for nothing"
            )
            yield Recommendation(text, 0.0, f"send max_tokens = {max(256, 4 * used // answered)} to {name}")


def exact_cache(evidence: Evidence) -> Iterator[Recommendation]:
    """Questions asked word for word again while the cache is off."""
    if not evidence.cache_enabled and evidence.habits.questions:
        text = f"{evidence.habits.questions} questions were repetitions of an earlier one"
        yield Recommendation(text, evidence.habits.questions_nano / NANO, "set [cache] enabled = true")


def price_drift(evidence: Evidence) -> Iterator[Recommendation]:
    """What a provider says it charged is not what the price table says."""
    for told in evidence.habits.told:
        off = told.reported / told.computed - 1 if told.computed else 0.0
        if told.calls >= 5 and abs(off) > DRIFT:
            text = f"{told.provider}/{told.model} charges {off:+.0%} against its price table over {told.calls} calls"
            yield Recommendation(
                text, 0.0, f'correct the price of "{told.model}" in [[providers.{told.provider}.models]]'
            )


def disputed(evidence: Evidence) -> Iterator[Recommendation]:
    """Models in use on whose price two tables disagree."""
    used = {f"{line.provider}/{line.model}" for line in evidence.lines}
    for d in evidence.deployments:
        if d.price is not None and d.price.other and d.name in used:
            said = f"{d.price.source} says ${d.price.input:g} and ${d.price.output:g}"
            yield Recommendation(
                f"two sources disagree on {d.name} (USD per million tokens in and out): {said}, {d.price.other}",
                0.0,
                f'look at the provider\'s price page and set the price of "{d.model}" in [[providers.{d.provider}.models]]',
            )


def unpriced(evidence: Evidence) -> Iterator[Recommendation]:
    """Calls whose cost nobody knows."""
    counts: dict[str, int] = defaultdict(int)
    for line in evidence.lines:
        counts[f"{line.provider}/{line.model}"] += line.unpriced
    for name, count in counts.items():
        if count:
            text = f"{count} calls to {name} are in no sum: its price is not known"
            provider, _, model = name.partition("/")
            yield Recommendation(text, 0.0, f'give "{model}" a price in [[providers.{provider}.models]]')


SOURCES = (
    cheaper_equivalent,
    repeated_prefix,
    long_history,
    unused_max_tokens,
    exact_cache,
    price_drift,
    disputed,
    unpriced,
)


def _by_model(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[f"{line.provider}/{line.model}"].append(line)
    return found


def _as_good(rival: Deployment, used: Deployment) -> bool:
    if rival.group and rival.group == used.group:
        return True
    ours = used.card.quality.get("default", 0.0)
    return rival.card.known and rival.card.quality.get("default", 0.0) >= ours - AS_GOOD


def _cost(lines: Sequence[Line], price: Price, cost: CostNano) -> int:
    calls = max(sum(line.calls for line in lines), 1)
    each = Usage(sum(line.input for line in lines) // calls, sum(line.output for line in lines) // calls)
    cached = sum(line.cached_input for line in lines) // calls if price.cached_input is not None else 0
    return cost(price, replace(each, cached_input=min(cached, each.input))) * calls


def _usd(nano: int) -> str:
    return f"${nano / NANO:.2f}"
