"""What the last days' asks would have become under another strategy: decided anew from their receipts, nobody is called.

The decision is the house's own (`decision.Chooser`), fed with what stood in the receipts up to each ask and no later.
What another model would have written nobody knows; how long its answers are, and how quick, is taken from what it did
write in these days. Costs come as an interval, and what cannot be known is said.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean

from providers.types import Message, ModelCard, Request

from ..conversations import Turn
from ..decision import Chooser
from ..envelope import cost_usd
from ..errors import Refusal
from ..filters import Filters
from ..ports import Directory, InOrder, NoGate, NoGuard, NoPurse
from ..settings import RoutingSettings
from ..signals import Traffic
from ..store.codec import unpack
from ..store.trials import Past
from ..types import Ask, Deployment, Receipt
from .statistics import RESAMPLES

ENOUGH = 20  # answers of a model from which its length and pace count as known
DOUBT = (0.5, 2.0)  # factors on the length of answers nobody has seen
KEPT = 400  # of the answers of one model that are resampled


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate with the bounds of what is not known."""

    low: float
    value: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.value + other.value, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Replay:
    """Sums over the asks that were decided anew. Latency is a mean over those where it is known on both sides."""

    strategy: str
    asks: int
    same: int
    left_out: dict[str, int]
    actual_usd: float
    usd: Span
    timed: int
    actual_s: float | None
    seconds: float | None
    quality: tuple[float, float] | None
    moves: tuple[tuple[str, str, int], ...]
    caveats: tuple[str, ...]


@dataclass(slots=True)
class _Habit:
    """What a deployment did in these days."""

    outputs: list[int] = field(default_factory=list[int])
    seconds: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True)
class _Choice:
    """One ask decided anew."""

    receipt: Receipt
    before: str
    after: Deployment
    kind: str


@dataclass(frozen=True, slots=True)
class _Counted:
    """The measure of an ask whose size is known: its receipt has it."""

    tokens: int

    def estimate(self, request: Request, card: ModelCard) -> int:
        """As it was."""
        del request, card
        return self.tokens

    bound = estimate


def replayed(past: Iterable[Past], strategy: str, directory: Directory, settings: RoutingSettings) -> Replay:
    """Decide the past anew. Deterministic; `past` is oldest first. Raises InvalidRequest for an unknown strategy."""
    traffic, habits, out = Traffic(lambda: 0.0), dict[str, _Habit](), Counter[str]()
    filters = Filters(settings, NoPurse(), NoGate(), NoGuard())
    chooser = Chooser(directory, settings, filters, traffic, _Counted(0), InOrder())
    choices: list[_Choice] = []
    for one in past:
        receipt = unpack(one.body, Receipt)
        why = _unfit(receipt)
        if receipt is None or why:
            out[why or "damaged"] += 1
            continue
        choice = _decided(chooser, one, receipt, strategy)
        if isinstance(choice, str):
            out[choice] += 1
        else:
            choices.append(choice)
        _learn(receipt, traffic, habits)
    return _summed(choices, strategy, habits, out, {d.name: d for d in directory.deployments()})


def _unfit(receipt: Receipt | None) -> str:
    if receipt is None or not receipt.model:
        return "without an answer"
    if receipt.cached != "no":
        return "from memory"
    return "of a fusion" if receipt.id.startswith("f_") else ""


def _decided(chooser: Chooser, one: Past, receipt: Receipt, strategy: str) -> _Choice | str:
    """Who would have been asked, or why that is not to be known."""
    turn = unpack(one.turn, Turn) if one.turn else None
    messages: tuple[Message, ...] = turn.messages if turn else ()
    ask = Ask(Request(messages), model=one.asked or "auto", strategy=strategy, task=receipt.task or None)
    chooser = replace(chooser, measure=_Counted(receipt.usage.input))
    try:
        decision = chooser.decide(ask, 3600.0, 0.0)
    except Refusal as refusal:
        if refusal.code == "invalid_request":
            raise
        return "asked for what is gone"
    away = _away(receipt)
    before = f"{receipt.provider}/{receipt.model}"
    for deployment in decision.order:
        if deployment.name == before or deployment.name not in away:
            return _Choice(receipt, before, deployment, decision.task.kind)
    return "nobody else could serve"


def _away(receipt: Receipt) -> set[str]:
    """Who could not serve this ask then: kept back, forbidden, unable, or tried in vain."""
    lost = {f"{a.provider}/{a.model}" for a in receipt.attempts if a.outcome != "ok"}
    return lost | {e.deployment.name for e in receipt.excluded if e.code != "no_model" or e.why.startswith("it has no")}


def _learn(receipt: Receipt, traffic: Traffic, habits: dict[str, _Habit]) -> None:
    name = f"{receipt.provider}/{receipt.model}"
    for attempt in receipt.attempts:
        if attempt.outcome != "ok":
            traffic.failed(f"{attempt.provider}/{attempt.model}")
    seconds = next((a.latency_s for a in receipt.attempts if a.outcome == "ok"), receipt.latency_s)
    traffic.answered(name, seconds, receipt.ttft_s, receipt.usage.output)
    habit = habits.setdefault(name, _Habit())
    habit.outputs.append(receipt.usage.output)
    habit.seconds.append(seconds)


def _summed(
    choices: Sequence[_Choice],
    strategy: str,
    habits: dict[str, _Habit],
    out: Counter[str],
    known: dict[str, Deployment],
) -> Replay:
    lengths = _Lengths(habits)
    total, actual, unpriced = Span(0.0, 0.0, 0.0), 0.0, 0
    seconds: list[tuple[float, float]] = []
    for choice in choices:
        cost, spent = _cost(choice, lengths), choice.receipt.cost_usd
        if cost is None or spent is None:
            unpriced += 1
        else:
            total, actual = total + cost, actual + spent
        if (pace := _pace(choice, habits)) is not None:
            seconds.append((choice.receipt.latency_s, pace))
    moves = Counter((c.before, c.after.name) for c in choices if c.before != c.after.name)
    return Replay(
        strategy,
        len(choices),
        len(choices) - moves.total(),
        dict(out),
        actual,
        total,
        len(seconds),
        fmean(before for before, _ in seconds) if seconds else None,
        fmean(after for _, after in seconds) if seconds else None,
        _quality(choices, known),
        tuple((*pair, n) for pair, n in moves.most_common(12)),
        _caveats(moves, habits, len(choices) - len(seconds), unpriced),
    )


class _Lengths:
    """How much longer one model's answers are than another's, with its 95 % interval; drawn once a pair."""

    def __init__(self, habits: dict[str, _Habit]) -> None:
        self._habits = habits
        self._known: dict[tuple[str, str], Span] = {}
        self._rng = Random(0)  # noqa: S311 - resampling, no secret

    def ratio(self, before: str, after: str) -> Span:
        """Mean output of `after` over that of `before`; half to twice where too little was seen of one."""
        pair = before, after
        if pair not in self._known:
            one, other = (self._habits.get(name, _Habit()).outputs[-KEPT:] for name in pair)
            enough = len(one) >= ENOUGH and len(other) >= ENOUGH and sum(one) > 0
            self._known[pair] = self._drawn(one, other) if enough else Span(DOUBT[0], 1.0, DOUBT[1])
        return self._known[pair]

    def _drawn(self, one: Sequence[int], other: Sequence[int]) -> Span:
        draw = self._rng.choices
        ratios = sorted(
            fmean(draw(other, k=len(other))) / max(fmean(draw(one, k=len(one))), 1e-9) for _ in range(RESAMPLES // 10)
        )
        return Span(ratios[len(ratios) // 40], fmean(other) / fmean(one), ratios[-1 - len(ratios) // 40])


def _cost(choice: _Choice, lengths: _Lengths) -> Span | None:
    """What it would have cost, retries that failed before it included; None without a price."""
    receipt, price = choice.receipt, choice.after.price
    if choice.before == choice.after.name:
        usd = receipt.cost_usd
        return None if usd is None else Span(usd, usd, usd)
    if price is None:
        return None
    wasted = sum(a.cost_usd or 0.0 for a in receipt.attempts if a.outcome != "ok")
    ratio, usage = lengths.ratio(choice.before, choice.after.name), receipt.usage
    low, value, high = (
        wasted + cost_usd(price, usage.input, round(usage.output * factor))
        for factor in (ratio.low, ratio.value, ratio.high)
    )
    return Span(low, value, high)


def _pace(choice: _Choice, habits: dict[str, _Habit]) -> float | None:
    if choice.before == choice.after.name:
        return choice.receipt.latency_s
    seen = habits.get(choice.after.name, _Habit()).seconds
    return fmean(seen) if len(seen) >= ENOUGH else None


def _quality(choices: Sequence[_Choice], known: dict[str, Deployment]) -> tuple[float, float] | None:
    """Mean catalogue quality of who answered and of who would have."""
    both = [(known[c.before], c.after, c.kind) for c in choices if c.before in known]
    if not both:
        return None
    return fmean(_of(one, kind) for one, _, kind in both), fmean(_of(other, kind) for _, other, kind in both)


def _of(deployment: Deployment, kind: str) -> float:
    quality = deployment.card.quality
    return quality.get(kind, quality.get("default", 0.5))


def _caveats(
    moves: Counter[tuple[str, str]], habits: dict[str, _Habit], untimed: int, unpriced: int
) -> tuple[str, ...]:
    """What the figures do not know, most of it always."""
    unseen = sorted({after for _, after in moves if len(habits.get(after, _Habit()).outputs) < ENOUGH})
    said = ["whether the other models' answers would have been as good: nobody asked them (a shadow experiment does)"]
    if unseen:
        names = ", ".join(unseen[:5]) + (f" and {len(unseen) - 5} more" if len(unseen) > 5 else "")
        said.append(
            f"how long answers of {names} are: fewer than {ENOUGH} were seen, so half to twice the length is assumed"
        )
    if untimed:
        said.append(f"how long {untimed} asks would have taken: too little was seen of who would have served them")
    if unpriced:
        said.append(f"the cost of {unpriced} asks: a price is not known")
    said += [
        "what other limits, budgets and breakers that traffic would have met; those of the receipts are kept",
        "needs that receipts do not hold (tools, a schema, limits on cost): who lacks them may have been chosen here",
        "prompts' tokens are as counted by who answered, and the discounts of providers' prompt caches are not foreseen",
    ]
    return tuple(said)
